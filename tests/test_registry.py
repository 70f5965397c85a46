import json
import sys
import types

import numpy as np
import pytest
import torch

from torchkeras import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    registry,
    regularizers,
)
from torchkeras.registry import (
    GLOBAL_CUSTOM_NAMES,
    GLOBAL_CUSTOM_OBJECTS,
    CustomObjectScope,
    Namespace,
    deserialize_keras_object,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)


def round_trip(obj, **kwargs):
    config = json.loads(json.dumps(serialize_keras_object(obj)))
    return deserialize_keras_object(config, **kwargs)


@pytest.mark.parametrize(
    "obj", [None, 1, 2.5, "text", True, [1, [2]], {"a": [None]}, b"bytes", slice(1, None, 2), ...]
)
def test_plain_values_come_back(obj):
    assert round_trip(obj) == obj


def test_arrays_and_tensors_come_back():
    array = round_trip(np.arange(4, dtype="int32").reshape(2, 2))
    assert array.dtype == np.int32 and array.tolist() == [[0, 1], [2, 3]]
    tensor = round_trip(torch.tensor([1.5], dtype=torch.float16))
    assert tensor.dtype == torch.float16 and tensor.tolist() == [1.5]
    assert serialize_keras_object(np.float32(2)) == 2
    assert serialize_keras_object(torch.float16) == "float16"


def test_a_built_in_is_named_by_its_public_path():
    config = serialize_keras_object(layers.Dense(3, name="d"))
    assert (config["module"], config["class_name"]) == ("keras.layers", "Dense")
    assert config["registered_name"] is None
    assert round_trip(layers.Dense(3, name="d")).units == 3


@register_keras_serializable("tests", "Scale")
class Scaling(layers.Layer):
    def __init__(self, by=1, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, x):
        return x * self.by


@register_keras_serializable("tests")
def double(x):
    return 2 * x


def test_registered_names():
    assert get_registered_name(Scaling) == "tests>Scale"
    assert get_registered_object("tests>Scale") is Scaling
    assert round_trip(Scaling(3)).by == 3
    assert round_trip(double) is double
    with pytest.raises(ValueError, match="get_config"):
        register_keras_serializable()(type("Plain", (), {}))


def test_custom_objects_by_argument_and_by_scope():
    class Other(layers.Layer):
        pass

    config = serialize_keras_object(Other(name="o"))
    assert isinstance(deserialize_keras_object(config, custom_objects={"Other": Other}), Other)
    with CustomObjectScope({"Other": Other}):
        assert isinstance(deserialize_keras_object(config), Other)
    with pytest.raises(TypeError, match="Could not locate class 'Other'"):
        deserialize_keras_object(config)


@pytest.mark.parametrize("module", [activations, constraints, initializers, losses, regularizers])
def test_no_config_is_no_object(module):
    """As in configs of libraries that may have a loss or not."""
    assert module.deserialize(None) is None


def test_module_objects_are_found_by_name():
    """As libraries look up their own classes: `keras_hub.samplers.get("greedy")`."""
    objects = {"big": Scaling, "twice": double}
    by_function = {"class_name": "function", "config": "twice"}
    by_class = {"class_name": "big", "config": {"by": 3}}
    assert isinstance(deserialize_keras_object("big", module_objects=objects), Scaling)
    assert deserialize_keras_object("twice", module_objects=objects) is double
    assert deserialize_keras_object("other", module_objects=objects) == "other"
    assert deserialize_keras_object(by_class, module_objects=objects).by == 3
    assert deserialize_keras_object(by_function, module_objects=objects) is double


@pytest.mark.parametrize("registered", [True, False])
def test_namespaces_find_classes_of_a_script(registered):
    class Rows(regularizers.Regularizer):
        def __call__(self, x):
            return x.sum()

        def get_config(self):
            return {}

    Rows.__module__ = "__main__"
    if registered:
        register_keras_serializable("script")(Rows)
    config = serialize_keras_object(layers.Dense(2, kernel_regularizer=Rows()))
    assert config["config"]["kernel_regularizer"]["module"] is None
    objects = {} if registered else {"Rows": Rows}
    layer = deserialize_keras_object(config, custom_objects=objects)
    assert isinstance(layer.kernel_regularizer, Rows)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torchkeras.saving", "load_model"),
        ("keras.saving", "load_model"),
        ("keras.utils", "get_file"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.layers", "Namespace"),
        ("subprocess", "Popen"),
    ],
)
@pytest.mark.parametrize("kind", ["class", "function"])
def test_a_config_reaches_nothing_outside_of_the_tables(module, name, kind):
    config = {"module": module, "class_name": name, "config": {}, "registered_name": name}
    if kind == "function":
        config = {**config, "class_name": "function", "config": name}
    with pytest.raises(TypeError, match="Could not locate"):
        deserialize_keras_object(config)


def test_lambdas_are_refused_in_safe_mode():
    with pytest.warns(UserWarning, match="lambda"):
        config = serialize_keras_object(lambda x: x + 1)
    with pytest.raises(ValueError, match="safe_mode=False"):
        deserialize_keras_object(config)
    assert deserialize_keras_object(config, safe_mode=False)(1) == 2


def test_unserializable_objects_are_named():
    with pytest.raises(TypeError, match="get_config"):
        serialize_keras_object(object())


def test_shared_objects_stay_one():
    layer = layers.Dense(2)
    with registry.ObjectSharingScope():
        config = serialize_keras_object([layer, layer])
    with registry.ObjectSharingScope():
        first, second = deserialize_keras_object(config)
    assert first is second


def test_namespace_suggests_the_nearest_name():
    space = Namespace("things", kind="thing")
    space.register(Scaling, "scaler")
    with pytest.raises(ValueError, match=r"Unknown thing: 'scalre'. Did you mean 'scaler'\?"):
        space.get("scalre")
    assert space.get(None) is None
    with pytest.raises(ValueError, match="thing identifier"):
        space.get(3)


def test_every_registered_path_is_unique_to_its_object():
    for path, obj in registry.registered_paths():
        assert registry.find_builtin(path) is obj, path


@pytest.mark.parametrize("name", ["builtins.eval", "my_pkg>Dense", "not.a.name"])
def test_a_built_in_under_a_name_of_its_own_is_refused(name):
    dense = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}
    relu = {"class_name": "function", "module": "builtins", "config": "relu"}
    for config in (dense, relu):
        with pytest.raises(ValueError, match="resolved to a Keras built-in.*registered as"):
            deserialize_keras_object({**config, "registered_name": name})
    for plain in (None, "", "Dense"):
        made = deserialize_keras_object({**dense, "registered_name": plain})
        assert type(made).__name__ == "Dense"
    assert deserialize_keras_object({**relu, "registered_name": "relu"}).__name__ == "relu"


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("function", ["relu"], "Expected 'config' to be a non-null str"),
        ("Dense", [1, 2], "Expected 'config' to be a dict"),
        ("__typespec__", "x", "Expected 'config' to be a list or a tuple"),
        ("__typespec__", ["TensorSpec", [2]], "type spec of TensorFlow's"),
    ],
)
def test_configs_of_the_wrong_type(name, config, message):
    with pytest.raises(TypeError, match=message):
        deserialize_keras_object({"class_name": name, "module": "keras.layers", "config": config})


def test_what_is_registered_can_be_looked_up():
    assert GLOBAL_CUSTOM_NAMES[Scaling] == "tests>Scale"
    assert GLOBAL_CUSTOM_OBJECTS["tests>Scale"] is Scaling


@pytest.fixture
def library(monkeypatch):
    """A module of a library whose classes are not registered."""
    module = types.ModuleType("keras_hub.backbones")
    exec(
        "import os\n"
        "from torchkeras.layers import Dense, TFSMLayer\n"
        "class Backbone(Dense): pass\n"
        "class Plain:\n"
        "    def __init__(self, **kwargs): raise AssertionError('made')\n"
        "    from_config = classmethod(lambda cls, config: cls())\n"
        "def run(**kwargs): raise AssertionError('called')\n",
        vars(module),
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def described(class_name, module="keras_hub.backbones"):
    config = {"units": 2, "name": "b"}
    return {"module": module, "class_name": class_name, "config": config}


def test_classes_of_libraries(library):
    found = deserialize_keras_object(described("Backbone"))
    assert type(found) is library.Backbone and found.units == 2
    again = deserialize_keras_object(serialize_keras_object(found))
    assert type(again) is library.Backbone


@pytest.mark.parametrize(
    "config",
    [
        described("Plain"),  # derives from no class of ours
        described("run"),
        described("os"),
        described("TFSMLayer"),  # ours, and left out of the list
        described("Dense"),  # not by the library's name
        described("Backbone", "keras_hub"),
        described("Backbone", "keras_hub.not_imported"),
        described("Backbone", ["keras_hub.backbones"]),
        described("__builtins__"),
    ],
    ids=lambda config: f"{config['class_name']}_{config['module']}",
)
def test_what_a_file_does_not_reach_in_libraries(library, config):
    before = set(sys.modules)
    with pytest.raises((TypeError, ValueError), match="Could not locate|module"):
        deserialize_keras_object(config)
    assert "keras_hub.not_imported" not in set(sys.modules) - before


def test_classes_of_other_packages_must_be_registered(library, monkeypatch):
    library.Backbone.__module__ = "another.backbones"
    monkeypatch.setitem(sys.modules, "another.backbones", library)
    for module in ("another.backbones", "keras_hub.backbones"):
        with pytest.raises(TypeError, match="Could not locate class 'Backbone'"):
            deserialize_keras_object(described("Backbone", module))
