"""The oracle: the real `keras` package, on its torch backend, chosen before anything imports it."""

import os
import sys

import pytest

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, os.path.dirname(__file__))  # for `oracle.py`, which test files share
pytest.register_assert_rewrite("oracle")
