"""Generators: networks that turn latent codes into images."""
