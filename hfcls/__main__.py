"""``python -m hfcls`` is ``hfcls``."""

import sys

from hfcls.cli import main

sys.exit(main())
