"""What is known of model collapse, reproduced by the same regimes that language models are bred by."""
