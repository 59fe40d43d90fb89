"""The command; apart from `fuzz`, because processes that are spawned can't import a package's ``__main__``."""

import sys

from load.fuzz.fuzz import main

if __name__ == "__main__":
    sys.exit(main())
