"""`python -m mfbench` is `mfbench`."""

import sys

from mfbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
