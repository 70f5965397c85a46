"""Mutated files of every format, a few of each; `python -m tests.saving.fuzz` loads many."""

import collections
import logging

import pytest

from tests.saving.fuzz import FORMATS, OUTCOMES, judge, judge_case, load, make_case

CASES = 25  # of each format


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", FORMATS)
def test_mutated_files(kind):
    first, results = FORMATS.index(kind), collections.Counter()
    for number in range(first, first + CASES * len(FORMATS), len(FORMATS)):
        found, data = make_case(number)
        result, detail = judge_case(kind, data)
        assert found == kind and result in OUTCOMES, f"case {number}: {result}: {detail}"
        results[result] += 1
    assert results["refused"] > 3


DEEDS = {
    "exception": lambda *_: {}["x"],
    "deed": lambda *_: open("/etc/hostname").close(),
    "memory": lambda *_: bytearray(600 << 20)[-1],
    "settings": lambda *_: __import__("torchkeras").config.set_epsilon(1e-3),
}


@pytest.mark.parametrize("result", DEEDS)
def test_the_judge_sees(result):
    """What would be a failure is seen, or the other test could not fail."""
    import torchkeras

    epsilon = torchkeras.config.epsilon()
    try:
        assert judge("keras", b"", DEEDS[result])[0] == result
    finally:
        torchkeras.config.set_epsilon(epsilon)
    assert judge("keras", b"", load)[0] == "refused"
