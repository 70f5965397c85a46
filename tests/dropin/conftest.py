"""The aliases, for one test."""

import warnings

import pytest

from torchkeras import dropin


@pytest.fixture
def installed():
    """All packages replaced; the real ones may be loaded already in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dropin.install()
    yield
    dropin.uninstall()
