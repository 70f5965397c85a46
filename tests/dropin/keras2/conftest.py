"""The legacy surface, for one test."""

import importlib
import warnings

import pytest

from torchkeras import dropin

collect_ignore_glob = ["scripts/*"]  # programs, which `test_scripts.py` runs


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """The aliases; the real packages may be loaded already in this process."""
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dropin.install()
    yield
    dropin.uninstall()


@pytest.fixture
def old(installed):
    """Keras 2."""
    return importlib.import_module("tf_keras")


@pytest.fixture
def mixed(installed):
    """Keras 3, and what only Keras 2 had besides."""
    return importlib.import_module("tensorflow.keras")
