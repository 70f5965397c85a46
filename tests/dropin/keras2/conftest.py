"""The legacy surface, for one test."""

import importlib

import pytest

collect_ignore_glob = ["scripts/*"]  # programs, which `test_scripts.py` runs


@pytest.fixture(autouse=True)
def aliases(monkeypatch, installed):
    """Every test here has them, whatever the environment says of Keras 2."""
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)


@pytest.fixture
def old(installed):
    """Keras 2."""
    return importlib.import_module("tf_keras")


@pytest.fixture
def mixed(installed):
    """Keras 3, and what only Keras 2 had besides."""
    return importlib.import_module("tensorflow.keras")
