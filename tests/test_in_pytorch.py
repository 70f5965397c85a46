"""The model as a module among PyTorch's tools: each topic of `examples/in_pytorch.py`."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "examples" / "in_pytorch.py"
SPEC = importlib.util.spec_from_file_location("in_pytorch", PATH)
EXAMPLE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(EXAMPLE)


@pytest.mark.filterwarnings("default")  # of other packages
@pytest.mark.parametrize("topic", EXAMPLE.TOPICS, ids=lambda topic: topic.__name__)
def test_what_torch_does_with_modules(topic):
    assert topic()


@pytest.mark.filterwarnings("ignore")  # of other packages
@pytest.mark.parametrize("topic", EXAMPLE.PACKAGES, ids=lambda topic: topic.__name__)
def test_what_packages_do_with_modules(topic):
    pytest.importorskip(topic.__name__)
    assert topic()
