"""What the tests of callbacks share."""

from collections.abc import Mapping

import pytest


class Counting(Mapping):
    """Logs that count how often a value is read."""

    def __init__(self, **values):
        self.values_ = values
        self.reads = 0

    def __getitem__(self, name):
        self.reads += 1
        return self.values_[name]

    def __iter__(self):
        return iter(self.values_)

    def __len__(self):
        return len(self.values_)


@pytest.fixture
def counting():
    """The class of logs that count readings."""
    return Counting
