"""Parametric portraits drawn by code: a domain whose ground truth is known exactly."""
