"""`keras.legacy.saving` and `keras.utils.legacy`, against Keras."""

import keras
import pytest

import torchkeras

LIBRARIES = (torchkeras, keras)


class Scale:
    def __init__(self, by=2, activation=None, inner=None):
        self.by, self.activation, self.inner = by, activation, inner

    def get_config(self):
        return {"by": self.by, "activation": self.activation, "inner": self.inner}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class Offered(Scale):
    @classmethod
    def from_config(cls, config, custom_objects=None):
        made = cls(**config)
        made.offered = sorted(custom_objects)
        return made


def double(x):
    return 2 * x


def test_the_two_paths_are_one():
    for library in LIBRARIES:
        for name in ("serialize_keras_object", "deserialize_keras_object"):
            old = getattr(library.utils.legacy, name)
            assert old is getattr(library.legacy.saving, name)


@pytest.mark.parametrize(
    "make",
    [
        lambda k: None,
        lambda k: double,
        lambda k: int,
        lambda k: Scale(3, "relu"),
        lambda k: Scale(3, double, Scale(4, {"a": 1}, [1, 2])),
        lambda k: k.layers.Dense(3, kernel_regularizer="l2", name="d"),
        lambda k: k.initializers.Constant(2.5),
        lambda k: k.losses.MeanSquaredError(name="mse"),
        lambda k: k.optimizers.SGD(0.25, name="sgd"),
    ],
)
def test_serialize(make):
    ours, theirs = (k.legacy.saving.serialize_keras_object(make(k)) for k in LIBRARIES)
    assert ours == theirs


def test_round_trip():
    objects = {"Scale": Scale, "double": double}
    for library in LIBRARIES:
        saving = library.legacy.saving
        config = saving.serialize_keras_object(Scale(3, double, Scale(4, "double", Scale())))
        again = saving.deserialize_keras_object(config, module_objects=objects)
        assert (again.by, again.activation) == (3, double)
        assert (again.inner.by, again.inner.activation, again.inner.inner.by) == (4, double, 2)


def test_a_config_is_left_as_it_was():
    saving = torchkeras.legacy.saving
    config = saving.serialize_keras_object(Scale(3, "double", Scale()))
    before = repr(config)
    saving.deserialize_keras_object(config, {"Scale": Scale, "double": double})
    assert repr(config) == before


def test_custom_objects_are_handed_on():
    for library in LIBRARIES:
        made = library.legacy.saving.deserialize_keras_object(
            {"class_name": "Offered", "config": {"by": 1}},
            custom_objects={"Offered": Offered, "double": double},
        )
        assert {"Offered", "double"} <= set(made.offered)


def test_names():
    # Keras 3.15.1 looks for names in an attribute that it lacks.
    deserialize = torchkeras.legacy.saving.deserialize_keras_object
    assert deserialize("double", {"double": double}) is double
    assert isinstance(deserialize("Scale", {"Scale": Scale}), Scale)
    assert deserialize("f", {"f": double}, {"f": len}) is len
    assert torchkeras.legacy.saving.serialize_keras_object(Scale) == "Scale"
    with pytest.raises(ValueError, match="Unknown layer: 'Scael'.*Did you mean 'Scale'"):
        deserialize("Scael", {"Scale": Scale}, None, "layer")


def test_functions_and_factories():
    for library in LIBRARIES:
        deserialize = library.legacy.saving.deserialize_keras_object
        assert deserialize(None) is None
        assert deserialize(double) is double
        config = {"class_name": "make", "config": {"by": 7}}
        assert deserialize(config, {"make": lambda by: Scale(by)}).by == 7
        layer = deserialize(
            {"class_name": "Dense", "config": {"units": 3, "activation": "mine"}},
            {"Dense": library.layers.Dense},
            {"mine": double},
        )
        assert layer.activation is double


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda s: s.serialize_keras_object(3), "get_config"),
        (lambda s: s.deserialize_keras_object(3), "Could not interpret"),
        (lambda s: s.deserialize_keras_object({"class_name": "A"}, {}), "Improper config format"),
        (
            lambda s: s.deserialize_keras_object({"class_name": "Nope", "config": {}}, {}),
            "Unknown object: 'Nope'",
        ),
    ],
)
def test_errors(action, says):
    for library in LIBRARIES:
        with pytest.raises(ValueError, match=says):
            action(library.legacy.saving)
