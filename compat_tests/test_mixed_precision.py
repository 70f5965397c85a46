"""Dtypes under each policy: every layer's outputs, variables and casts have those of Keras.

The layers are those of the table in `test_layers_files.py`, which is complete.
"""

import keras
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
