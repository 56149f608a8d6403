"""A trained generator in the formats of other programs, each checked against PyTorch before it is written."""
