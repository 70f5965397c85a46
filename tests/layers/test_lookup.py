"""`StringLookup` and `IntegerLookup`: errors, copies, files, and what Keras on torch cannot do."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import torchkeras as keras
from torchkeras.layers import IntegerLookup, StringLookup
from torchkeras.registry import deserialize_keras_object, serialize_keras_object


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: StringLookup(vocabulary=["a"])([1, 2]), "works on strings(.|\n)*int32"),
        (lambda: StringLookup(vocabulary=["a"])(["a", None]), "None(.|\n)*no string"),
        (lambda: StringLookup(vocabulary=["a"])(pd.Series(["a", np.nan])), "nan(.|\n)*missing"),
        (lambda: StringLookup(vocabulary=["a"])([["a", "b"], ["c"]]), "different lengths"),
        (lambda: StringLookup(vocabulary=["a"], num_oov_indices=0)(["a", "q"]), r"\['q'\]|b'q'"),
        (lambda: StringLookup(vocabulary=["a"], invert=True)(["a"]), "turns indices into tokens"),
        (lambda: StringLookup(vocabulary=[1, 2]), "works on strings"),
        (lambda: StringLookup(vocabulary=["a", "b", "a"]), "repeated(.|\n)*a"),
        (lambda: StringLookup(output_mode="counts"), "Did you mean 'count'"),
        (lambda: IntegerLookup(vocabulary=[1])(["a"]), "works on integers"),
        (lambda: IntegerLookup(vocabulary=[1], num_oov_indices=0)([1, 5, 6]), r"\[5, 6\]"),
        (lambda: IntegerLookup(vocabulary=["one"]), "invalid literal"),
    ],
)
def test_errors(action, words):
    with pytest.raises(ValueError, match=words):
        action()


def test_a_vocabulary_must_be_known():
    with pytest.raises(RuntimeError, match="adapt"):
        StringLookup(output_mode="count")(["a"])
    layer = StringLookup(vocabulary=["a"], output_mode="count")
    with pytest.raises(RuntimeError, match="(?s)old_size: 2.*new_size: 3"):
        layer.set_vocabulary(["a", "b"])


@pytest.mark.parametrize("kind", [StringLookup, keras.layers.TextVectorization])
def test_a_vocabulary_that_got_lost_is_missed(kind):
    layer = kind()
    layer.adapt(["a", "b"])
    again = kind.from_config(layer.get_config())
    assert again(keras.Input((1,), dtype="string")).shape[0] is None
    if kind is StringLookup:
        with pytest.raises(RuntimeError, match="(?s)lacks the vocabulary.*set_vocabulary"):
            again(["a"])
    again.set_vocabulary(layer.get_vocabulary())
    assert torch.equal(again(["a", "z"]), layer(["a", "z"]))


def test_integers_stay_where_and_what_they_are():
    layer = IntegerLookup(vocabulary=np.array([2**40, 5], dtype="int64"))
    for dtype in (torch.int64, torch.int32, torch.uint8):
        assert layer(torch.tensor([5, 7], dtype=dtype)).tolist() == [2, 0]
    assert layer(torch.tensor([2**40, 2**40 + 1])).tolist() == [1, 0]
    assert layer(torch.zeros(2, 3, dtype=torch.int64, device="meta")).device.type == "meta"
    assert IntegerLookup()(torch.tensor([4])).tolist() == [0]  # an empty vocabulary


@pytest.mark.parametrize("spread", [1, 3, 1000, 2**58], ids=str)
def test_integers_near_and_far_from_each_other(spread):
    rng = np.random.default_rng(0)
    tokens = (rng.permutation(30) - 15) * spread
    table = {token: i + 1 for i, token in enumerate(tokens.tolist())}
    values = np.concatenate([tokens, tokens + 1, [2**63 - 1, -(2**63)]])
    found = IntegerLookup(vocabulary=tokens)(torch.from_numpy(values))
    assert found.tolist() == [table.get(value, 0) for value in values.tolist()]


def test_other_encodings():
    layer = StringLookup(vocabulary=["é"], encoding="latin-1")
    assert layer([b"\xe9", "é".encode(), "é"]).tolist() == [1, 0, 1]
    broken = StringLookup(vocabulary=[b"\xff", "a"])
    assert broken([b"\xff", b"\xfe"]).tolist() == [1, 0]
    assert broken.get_vocabulary()[1].encode("utf-8", "surrogateescape") == b"\xff"


def test_strings_of_variable_width():
    dtypes = getattr(np, "dtypes", None)
    if not hasattr(dtypes, "StringDType"):
        pytest.skip("needs NumPy 2")
    x = np.array(["a", "b"], dtype=dtypes.StringDType())
    assert StringLookup(vocabulary=["b"])(x).tolist() == [0, 1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(copied):
    layer = StringLookup(output_mode="tf_idf")
    layer.adapt([["a", "b"], ["a", "c"]])
    again = copied(layer)
    assert again.get_vocabulary() == layer.get_vocabulary()
    assert torch.equal(again(["a", "z"]), layer(["a", "z"]))
    numbers = IntegerLookup(vocabulary=[5, 6])
    assert copied(numbers)([6]).tolist() == [2]


def test_moving_and_casting_a_model_leaves_lookups_alone():
    inputs = keras.Input((2,), dtype="string")
    outputs = keras.layers.Dense(1)(StringLookup(vocabulary=["a"], output_mode="count")(inputs))
    model = keras.Model(inputs, outputs).to(torch.float64)
    assert model.layers[1].dtype == "string"
    assert model(np.array([["a", "b"]])).dtype == torch.float64


def test_encoded_strings_are_floats_as_their_symbolic_tensors_are():
    layer = StringLookup(vocabulary=["a"], output_mode="multi_hot")
    symbolic = layer(keras.Input((3,), dtype="string"))
    assert (symbolic.dtype, symbolic.shape) == ("float32", (None, 2))
    assert layer([["a", "a", "b"]]).dtype == torch.float32


# Files -------------------------------------------------------------------------------------------


def test_a_model_file_cannot_make_its_reader_open_other_files(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("password\n")
    config = serialize_keras_object(StringLookup())
    config["config"]["vocabulary"] = str(secret)
    with pytest.raises(TypeError, match="another file of this computer"):
        deserialize_keras_object(config)
    layer = deserialize_keras_object(config, safe_mode=False)
    assert layer.get_vocabulary() == ["[UNK]", "password"]
    assert layer.get_config()["vocabulary"] is None


def test_a_token_with_a_line_end_cannot_be_an_asset(tmp_path):
    layer = StringLookup()
    layer.adapt(["a\nb"])
    with pytest.raises(ValueError, match="line end"):
        layer.save_assets(str(tmp_path))
    fixed = StringLookup(vocabulary=["a\nb"])
    again = deserialize_keras_object(serialize_keras_object(fixed))
    assert again(["a\nb"]).tolist() == [1]


def test_assets(tmp_path):
    words = ["x\u2028y", "é", "tab\t", " "]
    layer = StringLookup(mask_token="", num_oov_indices=2)
    layer.set_vocabulary(words)
    layer.save_assets(str(tmp_path))
    again = StringLookup(mask_token="", num_oov_indices=2)
    again.load_assets(str(tmp_path))
    assert again.get_vocabulary() == ["", "[UNK]", "[UNK]", *words]
    (tmp_path / "vocabulary.txt").write_text("a\na\n")
    with pytest.raises(ValueError, match="repeated"):
        StringLookup().load_assets(str(tmp_path))
    with pytest.raises(ValueError, match="vocabulary.txt"):
        StringLookup().load_assets(None)


@pytest.mark.parametrize("pad", [False, True])
def test_weights_of_tokens_come_back(tmp_path, pad):
    layer = StringLookup(
        output_mode="tf_idf", max_tokens=9 if pad else None, pad_to_max_tokens=pad, name="lookup"
    )
    layer.adapt([["a", "b"], ["a", "c"]])
    model = keras.Sequential([keras.Input((2,), dtype="string"), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.array([["a", "z"], ["c", "c"]])
    assert torch.equal(again(x), model(x))
