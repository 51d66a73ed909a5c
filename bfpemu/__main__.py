"""``python -m bfpemu`` is the command ``bfpemu``."""

import sys

from bfpemu.cli import main

sys.exit(main())
