"""The oracle: the real `keras` package, on its torch backend, chosen before anything imports it."""

import os
import random
import sys

import numpy as np
import pytest
import torch

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, os.path.dirname(__file__))  # for `oracle.py`, which test files share
pytest.register_assert_rewrite("oracle")

collect_ignore = ["scripts"]  # programs: importing one for its doctests would run it


@pytest.fixture(autouse=True)
def seed():
    """Start each test from the same random numbers."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
