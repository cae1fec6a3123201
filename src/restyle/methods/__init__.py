"""The other ways to invert: optimisation, hybrids and pivotal tuning.

A method takes a target (B, 3, h, w) in [-1, 1] and a start, and yields an `Estimate` after each of
its steps, as `restyle.refine.refine` does once its networks are given. So any of them can start
from what another one found, and a hybrid is nothing but that.
"""
