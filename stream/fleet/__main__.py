"""`python -m stream.fleet`: as `microlive-fleet`, from a checkout."""

import sys

from stream.cli.fleet import main

if __name__ == "__main__":
    sys.exit(main())
