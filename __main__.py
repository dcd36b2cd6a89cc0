"""``python -m regraft`` is the ``regraft`` command."""

import sys

from .frontend.cli import main

if __name__ == "__main__":
    sys.exit(main())
