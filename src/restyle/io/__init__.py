"""Files: images, checkpoints, datasets, and writing that is whole or not there."""
