"""Layers and backbones that several networks share."""
