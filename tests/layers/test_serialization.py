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


def test_arguments_that_cannot_be_serialized_ask_for_a_config():
    class Odd(Mine):
        def __init__(self, helper, **kwargs):
            super().__init__(**kwargs)
            self.helper = helper

    model = Sequential([layers.Input((2,)), Odd(object(), name="odd")])
    for config in (model.layers[0].get_config, model.get_config, model.to_json):
        with pytest.raises(NotImplementedError, match="Odd 'odd' was made with an.*no `get_config"):
            config()
