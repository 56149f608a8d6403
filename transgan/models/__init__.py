"""Networks, one idea per file. They import layers and nothing else of ours."""
