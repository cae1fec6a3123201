"""Metrics of reconstructions and samples: plain functions of tensors and arrays.

What `restyle.losses` measures (squared error, perceptual and identity distance) is not repeated
here.
"""
