"""Training: the generator, the encoder and the feature networks, on one run folder machinery."""
