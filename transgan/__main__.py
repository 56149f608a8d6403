"""`python -m transgan` is `transgan`."""

import sys

from transgan.cli import script

if __name__ == "__main__":
    sys.exit(script())
