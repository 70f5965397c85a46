"""Placeholders: they import, and raise when they are used."""

import inspect
import operator

import pytest

from torchkeras.dropin.absent import absent, is_absent


@pytest.fixture
def lost():
    return absent("keras.src.a.Lost", "it is not needed here.", "use `keras.ops`.")


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda x: x(1, y=2), "cannot be called"),
        (lambda x: type("Mine", (x,), {}), "cannot be subclassed"),
        (lambda x: type("Mine", (dict, x), {}), "cannot be subclassed"),
        (list, "cannot be iterated over"),
        (len, "cannot be iterated over"),
        (lambda x: 1 in x, "cannot be iterated over"),
        (lambda x: x["a"], "has no items"),
        (lambda x: operator.setitem(x, "a", 1), "has no items"),
        (bool, "no value to compare"),
        (lambda x: x == "horizontal", "no value to compare"),
        (lambda x: "horizontal" != x, "no value to compare"),
        (lambda x: x < 1, "no value to compare"),
        (lambda x: x + 1, "is no number"),
        (lambda x: 1 - x, "is no number"),
        (float, "is no number"),
    ],
)
def test_use_raises_and_names_it(lost, use, what):
    with pytest.raises(NotImplementedError, match="keras.src.a.Lost") as caught:
        use(lost)
    assert what in str(caught.value)
    assert "it is not needed here." in str(caught.value) and "keras.ops" in str(caught.value)


def test_attributes_are_neither_read_nor_set(lost):
    with pytest.raises(AttributeError, match=r"`keras\.src\.a\.Lost` has no attribute `fit`"):
        lost.fit  # noqa: B018
    with pytest.raises(AttributeError, match=r"`keras\.src\.a\.Lost` takes no attribute `fit`"):
        lost.fit = 1
    with pytest.raises(NotImplementedError, match="is no context"), lost:
        pass


def test_what_python_and_collectors_of_tests_ask_for(lost):
    assert not isinstance(3, lost) and not issubclass(int, lost)
    assert lost in {lost} and lost in [lost]
    assert not hasattr(lost, "__wrapped__") and not hasattr(lost, "__path__")
    assert inspect.unwrap(lost) is lost
    assert repr(lost) == "<no equivalent of keras.src.a.Lost>"


def test_is_absent(lost):
    assert is_absent(lost)
    assert not is_absent(int) and not is_absent(None)


def test_equals_no_other_class(lost):
    assert int not in lost.__mro__ and lost in lost.__mro__
    assert lost not in (int, str) and len({lost, lost, int}) == 2
