"""Measurements of quality and cost, which can be stopped and repeated, and their reports."""
