"""Layers of other engines say what to use, also when a file names them."""

import pytest

from torchkeras import callbacks, layers


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: layers.JaxLayer(lambda x: x), "JAX function.*PyTorch"),
        (lambda: layers.FlaxLayer(object()), "Flax module.*PyTorch"),
        (lambda: layers.TFSMLayer("folder"), "SavedModel.*PyTorch"),
        (lambda: callbacks.OrbaxCheckpoint("folder"), "(?s)Orbax.*ModelCheckpoint"),
    ],
)
def test_making_one(make, says):
    with pytest.raises(NotImplementedError, match=says):
        make()


@pytest.mark.parametrize(
    ("name", "config"), [("TFSMLayer", {"filepath": "f"}), ("JaxLayer", {"call_fn": None})]
)
def test_a_config_that_names_one(name, config):
    config = {"module": "keras.layers", "class_name": name, "config": config}
    with pytest.raises(NotImplementedError, match=name):
        layers.deserialize(config)
