"""`Hashing` and `HashedCrossing`: errors, data, and models."""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras.layers import HashedCrossing, Hashing
from torchkeras.layers._fingerprint import fingerprints, fingerprints_of_integers


def test_hashes_never_change():
    """They are in models and files; these are TensorFlow's."""
    assert fingerprints([b""]).tolist() == [-7286425919675154353]  # 0x9ae16a3b2f90404f
    assert Hashing(1000)(["torch", "keras"]).tolist() == [334, 78]
    assert Hashing(1000, salt=7)(["torch", "keras"]).tolist() == [609, 277]


def test_many_strings_at_once_hash_as_one_by_one():
    rng = np.random.default_rng(0)
    strings = [rng.bytes(int(n)) for n in rng.integers(0, 200, 500)]
    one_by_one = torch.cat([fingerprints([string]) for string in strings])
    assert torch.equal(fingerprints(strings), one_by_one)
    assert fingerprints([]).shape == (0,)


def test_integers_hash_as_text_for_any_number_of_digits():
    x = torch.tensor([0, -1, 7, 12345, -(2**63), 2**63 - 1])
    assert (
        fingerprints_of_integers(x).tolist()
        == fingerprints([str(value).encode() for value in x.tolist()]).tolist()
    )
    assert fingerprints_of_integers(x.reshape(2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: Hashing(3, mask_value=0)(["a"]), "mask_value='0'"),
        (lambda: Hashing(3, output_mode="counts"), "Did you mean 'count'"),
        (lambda: Hashing(3)(["a", None]), "no string"),
        (lambda: HashedCrossing(3)((["a"], ["b", "c"])), r"\(1,\), \(2,\)"),
        (lambda: HashedCrossing(3)((["a"], [1.0])), "float32"),
    ],
)
def test_errors(action, words):
    with pytest.raises(ValueError, match=words):
        action()


def test_empty_batches():
    assert Hashing(3)(np.empty((0, 2), dtype="U1")).shape == (0, 2)
    assert Hashing(3)(torch.empty(0, 2, dtype=torch.int64)).shape == (0, 2)


@pytest.mark.parametrize("shape", [(None, 4), (None, 1), (None,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_shapes_are_those_of_the_result(shape, mode):
    """Keras's are not, of one-hot vectors of several values and of more than two axes."""
    layer = Hashing(5, output_mode=mode)
    result = layer(torch.zeros([7 if size is None else size for size in shape], dtype=torch.int64))
    inferred = layer(keras.Input(batch_shape=shape, dtype="int64")).shape
    assert len(inferred) == result.dim()
    assert all(a is None or a == b for a, b in zip(inferred, result.shape, strict=True))


def test_in_a_model():
    words = keras.Input((1,), dtype="string", name="word")
    codes = keras.Input((1,), dtype="int64", name="code")
    crossed = HashedCrossing(8, output_mode="one_hot")([words, codes])
    both = keras.layers.Concatenate()([crossed, Hashing(4, output_mode="one_hot")(words)])
    model = keras.Model([words, codes], keras.layers.Dense(1)(both))
    model.compile("sgd", "mse")
    data = {"word": np.array([["a"], ["b"], ["a"]]), "code": np.array([[1], [2], [1]])}
    model.fit(data, np.zeros(3), verbose=0)
    found = model.predict(data, verbose=0)
    assert found[0] == found[2] != found[1]


def test_compiled():
    layer = Hashing(100, salt=3)
    x = torch.arange(-5, 5)
    exported = torch.export.export(layer, (x,)).module()
    assert torch.equal(exported(x), layer(x))
