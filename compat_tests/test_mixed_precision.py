"""Dtypes under each policy: every layer's outputs, variables and casts have those of Keras.

The layers are those of the table in `test_layers_files.py`, which is complete.
"""

import keras
import numpy as np
import pytest
from test_layers_files import LAYERS, LIBRARIES, build, example, variables_of

import torchkeras

POLICIES = ("mixed_float16", "float64")
LINES = {name: line[0] if isinstance(line, list) else line for name, line in LAYERS.items()}


@pytest.fixture(autouse=True)
def _default_policy():
    yield
    for library in LIBRARIES.values():
        library.config.set_dtype_policy("float32")


def text(dtype):
    return str(dtype).removeprefix("torch.")


def dtypes(library, policy, line):
    """The dtypes that a model of one line has under a policy."""
    library.config.set_dtype_policy(policy)
    model = build(library, line)
    found = {
        "symbolic": text(model.outputs[0].dtype),
        "variables": variables_of(model),
        "layers": [
            (layer.dtype_policy.name, layer.compute_dtype, layer.variable_dtype, layer.input_dtype)
            for layer in model.layers
        ],
    }
    x = example(line[1])
    wide = x.double() if x.is_floating_point() else x
    return found | {
        "inference": text(model(x, training=False).dtype),
        "training": text(model(x, training=True).dtype),
        "cast": text(model(wide, training=False).dtype),
    }


@pytest.mark.filterwarnings("ignore:.*Tensor.T is deprecated")  # AugMix of Keras's
@pytest.mark.parametrize("name", LINES)
def test_layers(name):
    for policy in POLICIES:
        theirs = dtypes(keras, policy, LINES[name])
        assert dtypes(torchkeras, policy, LINES[name]) == theirs, policy


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        lambda k, dtype: k.layers.Dense(2, dtype=dtype),
        lambda k, dtype: k.layers.BatchNormalization(dtype=dtype),
        lambda k, dtype: k.layers.AlphaDropout(0.5, seed=1, dtype=dtype),
    ],
)
def test_whole_numbers_give_the_dtype_of_the_layer(make, dtype):
    x = np.array([[1, 2], [3, 5]], "int64")
    found = []
    for library in LIBRARIES.values():
        library.utils.set_random_seed(0)
        y = make(library, dtype)(x, training=True)
        found.append((text(y.dtype), library.ops.convert_to_numpy(library.ops.cast(y, "float32"))))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-3)
