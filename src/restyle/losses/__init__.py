"""What reconstructions are compared by: plain functions with a value for every image.

Networks are passed in: anything with `maps` (perceptual) or `embed` (identity).
"""
