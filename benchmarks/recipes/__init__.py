"""Which recipe is best per CPU-second: trials of equal process time, measured by one evaluator.

    python -m benchmarks.recipes LIST.yaml [LIST.yaml ...] --data FOLDER --out FOLDER [--jobs 2] [--only PATTERN]
    python -m benchmarks.recipes.table FOLDER/rows.jsonl

A list (benchmarks/recipes/lists) names tasks, seconds, seeds and ideas; each of their combinations is a trial, and each
trial a line of rows.jsonl, a curve, a grid of images and a log. What is in rows.jsonl already is not trained again.

The baselines have lists of their own (lists/baseline_*.yaml): our convolutional pairs, and systems of other packages
(foreign.py; benchmarks/requirements.txt says how to install them), each with 24 trials over its own knobs. follow.py
writes the lists that come after: the same number of combinations for each, and the finals of the best.
sheet.py puts their pictures beside each other.
"""
