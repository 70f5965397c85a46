"""`to_categorical`, `normalize` and `pad_sequences` against what they are defined to be."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchkeras.utils import normalize, pad_sequences, to_categorical


@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(0, 3))
def test_to_categorical_has_a_one_at_the_class(classes, spare):
    rows = to_categorical(classes, max(classes) + 1 + spare)
    assert rows.shape == (len(classes), max(classes) + 1 + spare)
    assert rows.argmax(-1).tolist() == classes
    assert rows.sum() == len(classes)


def test_to_categorical_drops_a_last_axis_of_one_and_keeps_others():
    assert to_categorical(np.zeros((4, 1))).shape == (4, 1)
    assert to_categorical(np.zeros((4, 3, 1)), 5).shape == (4, 3, 5)
    assert to_categorical([[0, 1], [2, 0]]).shape == (2, 2, 3)


def test_to_categorical_of_a_tensor_is_a_tensor():
    rows = to_categorical(torch.tensor([[1], [0]]), 3)
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(("classes", "named"), [([0, 3], "3"), ([-1, 1], "-1")])
def test_to_categorical_refuses_classes_out_of_range(classes, named):
    with pytest.raises(ValueError, match=rf"class {named} is out of range(.|\n)*expected: 0 to 2"):
        to_categorical(classes, 3)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_normalize_gives_unit_vectors(axis, order, as_tensor):
    x = np.random.default_rng(0).standard_normal((3, 4))
    unit = normalize(torch.tensor(x) if as_tensor else x, axis, order)
    assert type(unit) is (torch.Tensor if as_tensor else np.ndarray)
    norms = (abs(np.asarray(unit)) ** order).sum(axis) ** (1 / order)
    np.testing.assert_allclose(norms, 1, rtol=1e-12)


def test_normalize_leaves_zeros():
    assert (normalize(np.zeros((2, 3))) == 0).all()


def test_normalize_makes_tensors_of_lists_and_frames():
    for x in ([[3, 4]], [[3.0, 4.0]], torch.tensor([[3, 4]]), pd.DataFrame([[3, 4]])):
        unit = normalize(x)
        assert isinstance(unit, torch.Tensor) and unit.tolist() == [pytest.approx([0.6, 0.8])]


@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=5),
    st.integers(1, 6),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["pre", "post"]),
)
def test_pad_sequences_row_by_row(sequences, maxlen, padding, truncating):
    padded = pad_sequences(sequences, maxlen, padding=padding, truncating=truncating, value=-1)
    assert padded.shape == (len(sequences), maxlen) and padded.dtype == "int32"
    for row, sequence in zip(padded.tolist(), sequences, strict=True):
        cut = max(0, len(sequence) - maxlen)
        kept = sequence[cut:] if truncating == "pre" else sequence[:maxlen]
        fill = [-1] * (maxlen - len(kept))
        assert row == (kept + fill if padding == "post" else fill + kept)


def test_pad_sequences_of_vectors_and_strings():
    padded = pad_sequences([np.ones((2, 3)), np.ones((1, 3))], dtype="float32")
    assert padded.shape == (2, 2, 3)
    assert padded[1].tolist() == [[0, 0, 0], [1, 1, 1]]
    words = pad_sequences([["a"], ["b", "c"]], dtype=object, value="")
    assert words.tolist() == [["", "a"], ["b", "c"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequences": [[1]], "padding": "left"}, "`padding` is 'pre' or 'post'. Received: 'left'"),
        ({"sequences": [[1]], "truncating": "x"}, "`truncating` is"),
        ({"sequences": [[1], 2]}, "item 1 is no sequence: 2"),
        ({"sequences": iter([[1]])}, "`sequences` must be a list"),
        ({"sequences": [[[1, 2]], [[1]]]}, "sequence 1 have shape"),
        ({"sequences": [[1]], "value": "x"}, "dtype=object"),
    ],
)
def test_pad_sequences_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(**arguments)
