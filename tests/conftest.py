"""What all tests share: tests marked `cuda` skip where there is no CUDA device."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    """Skip the tests that need a GPU, saying why, on machines without one."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(skip)
