"""`layers.serialize` and `deserialize`."""

import pytest

from torchkeras import Sequential, initializers, layers


class Mine(layers.Layer):
    def call(self, x):
        return x


def test_round_trip():
    layer = layers.Dense(3, activation="relu", name="d")
    again = layers.deserialize(layers.serialize(layer))
    assert type(again) is layers.Dense and again.get_config() == layer.get_config()
    model = layers.deserialize(layers.serialize(Sequential([layers.Dense(2)])))
    assert isinstance(model, Sequential) and model.layers[0].units == 2


def test_custom_objects():
    config = layers.serialize(Mine(name="m"))
    assert layers.deserialize(config, custom_objects={"Mine": Mine}).name == "m"
    with pytest.raises(TypeError, match="Mine"):
        layers.deserialize(config)


def test_other_objects_are_refused():
    config = initializers.serialize(initializers.Zeros())
    with pytest.raises(ValueError, match="not a `keras.layers.Layer`"):
        layers.deserialize(config)
