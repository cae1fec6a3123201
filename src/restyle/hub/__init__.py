"""Models by name: the registry, the catalogue of public models, and downloads."""
