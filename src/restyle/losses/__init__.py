"""Distances of reconstructions and targets: plain functions with a value for every image.

Networks are passed in: anything with `maps` (perceptual) or `embed` (identity).
"""
