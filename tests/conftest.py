"""What all tests share: a seed, and skips of tests marked `cuda` where there is no such device.

Collecting makes a million objects that stay. Python's collector would go through them again and
again, a quarter of the time that collecting takes: it waits, and then leaves them alone.
"""

import gc
import sys

import pytest
import torch

from torchkeras.utils import set_random_seed


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the collector out; then let it work on what tests make."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def seed():
    """Start each test from the same random numbers, and with nothing compiled.

    All layers share the code of `Layer.__call__`, which torch compiles a limited number of times.
    """
    set_random_seed(0)
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()


def pytest_collection_modifyitems(items):
    """Skip the tests that need a GPU, saying why, on machines without one."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(skip)
