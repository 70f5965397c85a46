"""Lets the tests of this folder, and those against the oracle, share `op_cases.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
