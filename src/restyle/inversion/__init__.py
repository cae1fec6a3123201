"""Every way to invert an image, by name, and what an inversion results in."""
