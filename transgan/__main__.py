"""`python -m transgan` is `transgan`."""

import sys

from transgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
