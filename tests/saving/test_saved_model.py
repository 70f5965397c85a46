"""SavedModels of tf.keras, written by hand; `compat_tests.legacy` reads those of tf.keras."""

import json
import time

import numpy as np
import pytest

import torchkeras as keras
from tests.saving.tf_files import Node, model_node, write_saved_model
from torchkeras.saving import FileFormatError
from torchkeras.saving.inspection import inspect_file, report
from torchkeras.saving.saved_tables import _Graph
from torchkeras.saving.wire import field, varint

L = keras.layers


def layer(name, **config):
    return {"class_name": name, "config": {"name": name.lower(), "dtype": "float32", **config}}


def dense(name, units, **config):
    return layer("Dense", units=units, activation="linear", use_bias=True, **config) | {
        "config": {"name": name, "units": units, "activation": "linear", **config}
    }


def spec(*shape, dtype="float32"):
    """As tf.keras writes what a model was called with."""
    size = {"class_name": "TensorShape", "items": list(shape)}
    parts = {"class_name": "__tuple__", "items": [size, dtype, "x"]}
    return {"class_name": "TypeSpec", "type_spec": "tf.TensorSpec", "serialized": parts}


ADAM = {
    "class_name": "Custom>Adam",
    "config": {
        "name": "Adam",
        "learning_rate": 0.25,
        "beta_1": 0.8,
        "jit_compile": False,
        "is_legacy_optimizer": False,
    },
}
TRAINING = {
    "loss": "mse",
    "metrics": [["mae"]],
    "weighted_metrics": None,
    "loss_weights": None,
    "optimizer_config": ADAM,
}


def sequential(**more):
    """What tf.keras says of a sequential model of two layers."""
    shape = {"class_name": "__tuple__", "items": [None, 2]}
    entry = {"class_name": "InputLayer", "config": {"batch_input_shape": shape, "name": "x"}}
    layers = [entry, dense("first", 3), dense("second", 1)]
    config = {"name": "mine", "layers": layers}
    return {
        "class_name": "Sequential",
        "config": config,
        "model_config": {"class_name": "Sequential", "config": config},
        "is_graph_network": True,
        "keras_version": "2.15.0",
        "training_config": TRAINING,
        **more,
    }


WEIGHTS = [
    {"kernel": np.arange(6, dtype="f4").reshape(2, 3), "bias": np.float32([1, 2, 3])},
    {"kernel": np.float32([[1], [2], [3]]), "bias": np.float32([4])},
]


def adam_node(root, steps=3):
    """The state of an optimizer of TensorFlow 2.11 and later."""
    names = [n.name for i in range(2) for n in root.edges[f"layer-{i}"].edges.values()]
    shapes = [v.shape for layer in WEIGHTS for v in layer.values()]
    listed = [Node(value=np.int64(steps), name="iteration")]
    for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        for j, kind in enumerate("mv"):
            listed.append(Node(value=np.full(shape, 10 * i + j, "f4"), name=f"Adam/{kind}/{name}"))
    rate = Node(value=np.float32(0.25), name="learning_rate")
    variables = Node({str(i): node for i, node in enumerate(listed)})
    return Node({"_variables": variables, "_learning_rate": rate})


def legacy_node(root, steps=3):
    """That of `optimizers.legacy`, whose slots stand in an order of their own."""
    node = Node(
        {"iter": Node(value=np.int64(steps)), "learning_rate": Node(value=np.float32(0.25))}
    )
    variables = [n for i in range(2) for n in root.edges[f"layer-{i}"].edges.values()]
    for j, kind in enumerate("mv"):
        for i, variable in reversed(list(enumerate(variables))):
            value = np.full(np.shape(variable.value), 10 * i + j, "f4")
            node.slots.append((variable, kind, Node(value=value)))
    return node


@pytest.mark.parametrize("state", [adam_node, legacy_node])
@pytest.mark.parametrize("old", [False, True])
def test_sequential(tmp_path, old, state):
    root = model_node(WEIGHTS)
    root.edges["optimizer"] = state(root)
    write_saved_model(tmp_path, root, sequential(), old=old)
    model = keras.models.load_model(tmp_path)
    x = np.float32([[1, 2]])
    expected = (x @ WEIGHTS[0]["kernel"] + WEIGHTS[0]["bias"]) @ WEIGHTS[1]["kernel"] + 4
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    assert model.name == "mine" and [layer.name for layer in model.layers] == ["first", "second"]
    optimizer = model.optimizer
    assert int(optimizer.iterations) == 3 and float(optimizer.learning_rate) == 0.25
    assert optimizer.beta_1 == 0.8
    slots = [v.numpy() for v in optimizer.variables[2:]]
    assert [float(v.max()) for v in slots] == [0, 1, 10, 11, 20, 21, 30, 31]
    assert set(model.train_on_batch(x, expected, return_dict=True)) == {"loss", "mae"}
    plain = keras.models.load_model(tmp_path, compile=False)
    assert not plain.compiled
    np.testing.assert_array_equal(plain.predict(x, verbose=0), expected)
    other = keras.Sequential([L.Input((2,)), L.Dense(3), L.Dense(1)])
    other.load_weights(tmp_path)
    np.testing.assert_array_equal(other.predict(x, verbose=0), expected)


def test_metadata_of_the_first_versions(tmp_path):
    """TensorFlow 2.0 to 2.2 had the configuration in `model_config` alone."""
    found = sequential()
    found = {key: found[key] for key in ("model_config", "keras_version")}
    write_saved_model(tmp_path, model_node(WEIGHTS), found, old=True)
    assert keras.models.load_model(tmp_path).count_params() == 13


def test_inspection(tmp_path):
    root = model_node(WEIGHTS)
    root.edges["optimizer"] = adam_node(root)
    write_saved_model(tmp_path, root, sequential())
    contents = inspect_file(tmp_path)
    assert contents.model == ("Sequential", "mine")
    assert [layer.name for layer in contents.layers] == ["x", "first", "second"]
    assert "SavedModel" in report(contents) and contents.training["loss"] == "mse"
    write_saved_model(tmp_path / "other", root, None)
    assert "without a Keras model" in report(inspect_file(tmp_path / "other"))


class Mine(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.table = L.Embedding(4, units)
        self.parts = [L.Dense(units)]

    def call(self, inputs, training=False):
        x = self.table(inputs["ids"])
        return self.parts[0](x[:, 0]) + inputs["shift"]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def mine():
    """A node, and what tf.keras says of it."""
    dense = {"kernel": Node(value=np.eye(2, dtype="f4")), "bias": Node(value=np.float32([5, 6]))}
    table = np.arange(8, dtype="f4").reshape(4, 2)
    root = Node(
        {"table": Node({"embeddings": Node(value=table)}), "parts": Node({"0": Node(dense)})}
    )
    inputs = {"ids": spec(None, 1, dtype="int32"), "shift": spec(None, 2)}
    call = {"class_name": "__tuple__", "items": [[inputs], {"training": False}]}
    found = {
        "class_name": "pkg>Mine",
        "config": {"units": 2, "name": "mine"},
        "model_config": {"class_name": "Mine", "config": {"units": 2, "name": "mine"}},
        "is_graph_network": False,
        "keras_version": "2.15.0",
        "full_save_spec": call,
        "training_config": None,
    }
    return root, found


def test_classes_of_users(tmp_path):
    write_saved_model(tmp_path, *mine(), kind="model")
    for custom in ({"Mine": Mine}, {"pkg>Mine": Mine}):
        model = keras.models.load_model(tmp_path, custom_objects=custom)
        x = {"ids": np.int32([[3]]), "shift": np.float32([[0.5, 0.5]])}
        np.testing.assert_array_equal(model(x).detach(), [[11.5, 13.5]])
        assert model.name == "mine"
    with pytest.raises(FileFormatError, match=r"class of its author's, 'pkg>Mine'[\s\S]*register"):
        keras.models.load_model(tmp_path)
    root, found = mine()
    write_saved_model(tmp_path, root, {**found, "full_save_spec": None}, kind="model")
    with pytest.raises(FileFormatError, match="had never been called"):
        keras.models.load_model(tmp_path, custom_objects={"Mine": Mine})
    ragged = {"class_name": "TypeSpec", "type_spec": "tf.RaggedTensorSpec", "serialized": []}
    call = {"class_name": "__tuple__", "items": [[ragged], {}]}
    write_saved_model(tmp_path, root, {**found, "full_save_spec": call}, kind="model")
    with pytest.raises(FileFormatError, match="RaggedTensorSpec"):
        keras.models.load_model(tmp_path, custom_objects={"Mine": Mine})


def test_subclasses_of_graph_models(tmp_path):
    """Without their class they are plain models, and a warning says so."""

    class Trainer(keras.Sequential):
        pass

    write_saved_model(tmp_path, model_node(WEIGHTS), sequential(class_name="Trainer"))
    with pytest.warns(UserWarning, match="'Trainer' .* is not known here"):
        assert type(keras.models.load_model(tmp_path)) is keras.Sequential
    model = keras.models.load_model(tmp_path, custom_objects={"Trainer": Trainer})
    assert type(model) is Trainer


def test_scaled_losses(tmp_path):
    """The state of a `LossScaleOptimizer` is its own and the inner one's."""
    root = model_node(WEIGHTS)
    state = adam_node(root)
    for node in state.edges["_variables"].edges.values():
        node.name = node.name.removeprefix("Adam/")
    scale = {
        "current_loss_scale": Node(value=np.float32(64)),
        "good_steps": Node(value=np.int64(5)),
    }
    state.edges["loss_scale"] = Node(scale)
    root.edges["optimizer"] = state
    arguments = {"inner_optimizer": ADAM, "initial_scale": 8.0, "dynamic_growth_steps": 9}
    for dynamic in (True, False):
        arguments["dynamic"] = dynamic
        optimizer = {
            "class_name": "LossScaleOptimizerV3",
            "config": {**arguments, "dynamic": dynamic},
        }
        training = {**TRAINING, "optimizer_config": optimizer}
        write_saved_model(tmp_path, root, sequential(training_config=training))
        found = keras.models.load_model(tmp_path).optimizer
        if dynamic:
            assert float(found.dynamic_scale) == 64 and int(found.step_counter) == 5
            assert found.dynamic_growth_steps == 9
            found = found.inner_optimizer
        else:
            assert found.loss_scale_factor == 8
        assert float(found.variables[-1].max()) == 31 and int(found.iterations) == 3


def test_arguments_of_an_optimizer(tmp_path):
    """TensorFlow's checkpoints of `optimizers.legacy` have them; ours are those of the model."""
    root = model_node(WEIGHTS)
    state = legacy_node(root)
    for name, value in (("beta_1", 0.5), ("beta_2", 0.999), ("decay", 0.125)):
        state.edges[name] = Node(value=np.float32(value))
    root.edges["optimizer"] = state
    write_saved_model(tmp_path, root, sequential())
    model = keras.Sequential([L.Input((2,)), L.Dense(3), L.Dense(1)])
    model.compile(keras.optimizers.Adam(0.5), "mse")
    with pytest.warns(UserWarning) as caught:
        model.load_weights(tmp_path)
    told = [str(warning.message) for warning in caught]
    assert len(told) == 2 and "beta_1=0.9, in the file 0.5" in told[0]
    assert "decay=0.0, in the file 0.125" in told[1]
    assert float(model.optimizer.learning_rate) == 0.25


# Vocabularies -------------------------------------------------------------------------------------


def constant(name, number, values):
    """A node of a graph, and the object that stands for it."""
    if number == 7:
        content = b"".join(field(8, value) for value in values)
    else:
        content = field(10, b"".join(map(varint, values)))
    tensor = field(1, number) + field(2, field(2, field(1, len(values)))) + content
    value = field(5, field(1, b"value") + field(2, field(8, tensor)))
    return field(1, field(1, name) + field(2, b"Const") + value), field(9, field(1, name))


def edges(**children):
    return b"".join(
        field(1, field(1, number) + field(2, name.encode())) for name, number in children.items()
    )


def graph(tokens=(b"b", b"a"), indices=(3, 2), kind=7):
    """A layer's table, which a function fills from two constants."""
    first, keys = constant(b"k", kind, tokens)
    second, values = constant(b"v", 9, indices)
    nodes = [edges(**{"layer-1": 1}), edges(lookup_table=2), edges(_initialize=3)]
    nodes += [field(6, field(1, b"fill")), keys, values]
    function = field(2, field(1, b"fill") + field(2, field(2, bytes([2, 4, 5]))))
    objects = b"".join(field(1, node) for node in nodes) + function
    return field(2, field(2, first + second) + field(7, objects))


def test_vocabularies_that_were_learned(tmp_path):
    shape = {"class_name": "__tuple__", "items": [None, 1]}
    for name, dtype, tokens, kind, words in (
        ("StringLookup", "string", (b"b", b"a"), 7, [["a", "b"]]),
        ("IntegerLookup", "int64", (9, 5), 9, [[5, 9]]),
    ):
        entry = {"batch_input_shape": shape, "dtype": dtype, "name": "x"}
        layers = [
            {"class_name": "InputLayer", "config": entry, "name": "x", "inbound_nodes": []},
            {
                "class_name": name,
                "config": {"name": "words", "vocabulary": None, "num_oov_indices": 2,
                           "has_input_vocabulary": False, "vocabulary_size": 4},
                "name": "words",
                "inbound_nodes": [[["x", 0, 0, {}]]],
            },
        ]  # fmt: skip
        config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]],
                  "output_layers": [["words", 0, 0]]}  # fmt: skip
        found = sequential(class_name="Functional", config=config, training_config=None)
        found["model_config"] = {"class_name": "Functional", "config": config}
        root = Node({"layer-0": Node(), "layer-1": Node()})
        folder = tmp_path / name
        write_saved_model(folder, root, found, kind="network")
        with pytest.raises(FileFormatError, match="'words' had learned a vocabulary"):
            keras.models.load_model(folder)
        (folder / "saved_model.pb").write_bytes(graph(tokens, kind=kind))
        model = keras.models.load_model(folder)
        assert model(np.asarray(words).T).flatten().tolist() == [2, 3]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (graph(indices=(3, 9)), "not consecutive"),
        (graph(tokens=(b"a",)), None),
        (graph().replace(b"\x12\x03\x02\x04\x05", b"\x12\x03\x02\x04\x7f"), "leads to node 127"),
        (graph(kind=9, tokens=(1, 2))[:-3], "No message"),
    ],
)
def test_hostile_tables(data, words):
    with pytest.raises(ValueError, match=words):
        _Graph(data).vocabulary("layer-1", invert=False)


# What is no Keras model, or hostile ---------------------------------------------------------------


def test_others_say_what_they_hold(tmp_path):
    write_saved_model(tmp_path, model_node(WEIGHTS), None)
    with pytest.raises(FileFormatError, match="no Keras model") as caught:
        keras.models.load_model(tmp_path)
    text = str(caught.value)
    assert "signatures: serving_default" in text and "tensorflow: 2.15.0" in text
    write_saved_model(tmp_path, model_node(WEIGHTS), {"class_name": "Dense"}, kind="layer")
    with pytest.raises(FileFormatError, match=r"no Keras model[\s\S]*keras_objects: layer"):
        keras.models.load_model(tmp_path)


def hostile(**config):
    found = sequential()
    found["config"]["layers"][1]["config"].update(config)
    return found


METADATA = {
    "no JSON": (b"{", "not valid JSON"),
    "no object": (b"[1]", "describes no model"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "nested": (json.dumps(hostile()).replace("null", "[" * 300 + "]" * 300).encode(), "nested"),
    "huge": (json.dumps(hostile(units=10**12)).encode(), "more memory"),
    "huge, no bytes": (json.dumps(hostile(units=-5)).encode(), "units"),
    "code": (
        json.dumps(hostile(activation={"class_name": "__lambda__", "config": {"value": "x"}})),
        ".",
    ),
    "a class of any module": (json.dumps(hostile()).replace('"Dense"', '"os.system"'), "os.system"),
    "no class": (json.dumps({"config": {}}), "."),
    "a vocabulary of this computer": (
        json.dumps(hostile()).replace('"Dense"', '"StringLookup"').replace(
            '"activation"', '"vocabulary": "/etc/passwd", "x"'
        ),
        ".",
    ),
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", METADATA)
def test_hostile_metadata(tmp_path, kind, old):
    text, words = METADATA[kind]
    data = text if isinstance(text, bytes) else text.encode()
    write_saved_model(tmp_path, model_node(WEIGHTS), data, old=old)
    start = time.monotonic()
    with pytest.raises(FileFormatError, match=words) as caught:
        keras.models.load_model(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("name", ["keras_metadata.pb", "saved_model.pb"])
def test_damaged_files(tmp_path, name):
    write_saved_model(tmp_path, model_node(WEIGHTS), sequential(), old=name == "saved_model.pb")
    path = tmp_path / name
    data = path.read_bytes()
    for keep in (1, 7, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:keep])
        with pytest.raises(FileFormatError, match=name):
            keras.models.load_model(tmp_path)
    for data in (field(1, 5) + field(2, 7), field(1, b"\xff"), b"\xff" * 99):
        path.write_bytes(data)
        with pytest.raises(FileFormatError):
            keras.models.load_model(tmp_path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(FileFormatError, match="a link that leads out of the folder"):
        keras.models.load_model(tmp_path)


def test_weights_that_do_not_fit(tmp_path):
    write_saved_model(tmp_path, model_node(WEIGHTS[:1]), sequential())
    with pytest.raises(FileFormatError, match="has no values for 2 of the model's weights"):
        keras.models.load_model(tmp_path)
