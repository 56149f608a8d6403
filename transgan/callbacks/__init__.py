"""What watches a training run: numbers, pictures, evaluations, checkpoints, one line of progress.

They import nothing of ours but their own folder; a module has `images_seen`, `batch_size`, `generate`, and so on.
"""
