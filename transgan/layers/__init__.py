"""Building blocks that all networks share. They import torch and nothing else."""
