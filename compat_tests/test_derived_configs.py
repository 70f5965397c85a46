"""Configs of users' classes without `get_config`, against real Keras."""

import json

import pytest
from fitting import both, clear


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


def classes(k):
    """The habits of users: what a constructor takes, and which class it extends."""
    L = k.layers

    class Plain(L.Layer):
        def __init__(self, units=3):
            super().__init__()
            self.units = units

    class Named(L.Layer):
        def __init__(self, units=3, name=None, trainable=True):
            super().__init__(name=name, trainable=trainable)

    class Open(L.Layer):
        def __init__(self, units=3, rate=0.5, **kwargs):
            super().__init__(**kwargs)

    class Pass(L.Layer):
        def __init__(self, *, axes=(1, 2), **kwargs):
            super().__init__(**kwargs)

    class Extends(L.Dense):
        def __init__(self, units=2, **kwargs):
            super().__init__(units, **kwargs)

    class Fixes(L.Dense):
        def __init__(self, units=2, **kwargs):
            super().__init__(units, activation="relu", **kwargs)

    class Closed(L.Conv1D):
        def __init__(self):
            super().__init__(3, 2)

    class Gives(L.Dropout):
        def __init__(self, rate=0.2, seed=None):
            super().__init__(rate, seed=seed)

    class Net(k.Model):
        def __init__(self):
            super().__init__()

    class OpenNet(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

    return [
        Plain(4),
        Named(4, trainable=False),
        Open(4, name="mine", dtype="mixed_float16"),
        Open(activity_regularizer="l2"),
        Open(activity_regularizer=None, autocast=False),
        Pass(axes=[1, 2]),
        Extends(4, use_bias=False, activation="tanh"),
        Extends(),
        Fixes(),
        Closed(),
        Gives(0.3, seed=1),
        Net(),
        OpenNet(name="net"),
    ]


@pytest.mark.parametrize("frozen", [False, True])
def test_configs_are_those_of_keras(frozen):
    def action(k):
        configs = []
        for layer in classes(k):
            if frozen:
                layer.trainable = False
            config = layer.get_config()
            if type(layer).__base__ not in (k.layers.Layer, k.Model):
                # Keras lists the settings of built-in layers in an order of its own.
                config = dict(sorted(config.items()))
            configs.append(json.dumps(config))
        return configs

    ours, theirs = both(action)
    assert ours == theirs


def test_classes_are_made_again_as_keras_makes_them():
    def action(k):
        made = []
        for layer in classes(k):
            layer.trainable = False
            try:
                again = type(layer).from_config(layer.get_config())
            except TypeError:
                made.append(None)
                continue
            made.append((again.name, again.trainable, again.get_config()))
        return made

    ours, theirs = both(action)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine is not None
        assert other in (None, mine)


def test_subclass_of_a_built_in_layer_keeps_what_is_changed_later():
    def action(k):
        class Mine(k.layers.Dense):
            def __init__(self, units=2, **kwargs):
                super().__init__(units, **kwargs)

        layer = Mine(3)
        layer.activation = k.activations.relu
        return type(layer).from_config(layer.get_config()).activation.__name__

    assert both(action) == ["relu", "relu"]


def test_arguments_that_are_objects_are_read_by_keras(tmp_path):
    def action(k):
        @k.saving.register_keras_serializable("derived")
        class Shift(k.layers.Layer):
            def __init__(self, activation=None, start="zeros", **kwargs):
                super().__init__(**kwargs)
                self.activation = k.activations.get(activation)
                self.start = k.initializers.get(start)

            def build(self, input_shape):
                self.b = self.add_weight(shape=(input_shape[-1],), initializer=self.start)

            def call(self, x):
                return self.activation(x + self.b)

        path = tmp_path / "shift.keras"
        if "torchkeras" in k.__name__:
            layer = Shift(k.activations.relu, k.initializers.Constant(-2.0))
            k.Sequential([k.Input((2,)), layer]).save(path)
        layer = k.models.load_model(path).layers[-1]
        return layer.activation.__name__, layer.start.value, layer.get_weights()[0].tolist()

    ours, theirs = both(action)
    assert ours == theirs == ("relu", -2.0, [-2.0, -2.0])


@pytest.mark.parametrize("unnamed", [True, False])
def test_arguments_without_names_are_refused_alike(unnamed):
    def action(k):
        class Unnamed(k.layers.Layer):
            def __init__(self, *sizes):
                super().__init__()

        class ByPlace(k.layers.Layer):
            def __init__(self, size, /):
                super().__init__()

        with pytest.raises(NotImplementedError):
            (Unnamed if unnamed else ByPlace)(3).get_config()

    both(action)
