"""Building blocks that every network here shares. They import torch and nothing else."""
