"""Discriminators: what images, or feature maps of them, are told from the data by."""
