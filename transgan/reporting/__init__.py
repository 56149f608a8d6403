"""A report of runs: one HTML file with everything in it, to be read without this program, a network or a script."""
