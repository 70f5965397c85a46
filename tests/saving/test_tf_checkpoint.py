"""Checkpoints of TensorFlow: genuine ones, and others written by hand.

`data/make_tf_checkpoints.txt` made the genuine ones and recorded what their models computed.
"""

import io
import pathlib
import warnings
import zipfile

import numpy as np
import pytest

import torchkeras as keras
from tests.saving.tf_files import Node, model_node, write_bundle, write_checkpoint
from torchkeras.dropin.tf.modules import Module
from torchkeras.dropin.tf.system import TRAIN
from torchkeras.saving import FileFormatError
from torchkeras.saving.inspection import inspect_file, report

L = keras.layers
DATA = pathlib.Path(__file__).parent / "data" / "tf_checkpoints.zip"


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genuine")
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(folder)
    return folder


def small():
    return keras.Sequential([L.Input((2,)), L.Dense(3, "relu"), L.BatchNormalization(), L.Dense(1)])


def recorded(folder, name):
    return np.load(io.BytesIO((folder / f"{name}.npz").read_bytes()))


@pytest.mark.parametrize("path", ["ckpt", "", "_objects/ckpt-1", "_objects"])
@pytest.mark.parametrize("name", ["new", "old"])
def test_genuine_checkpoints(genuine, name, path):
    known = recorded(genuine, name)
    model = small()
    model.compile(keras.optimizers.Adam(0.5), "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_weights(genuine / (name + ("/ckpt" if path == "ckpt" else path)))
    np.testing.assert_allclose(model.predict(known["x"], verbose=0), known["p"], rtol=1e-5)
    assert int(model.optimizer.iterations) == 2
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    model.train_on_batch(known["x"], known["y"])
    np.testing.assert_allclose(model.predict(known["x"], verbose=0), known["after"], rtol=1e-4)


@pytest.mark.parametrize("name", ["new", "old"])
def test_checkpoints_of_the_stand_in(genuine, name):
    known = recorded(genuine, name)
    model, optimizer = small(), keras.optimizers.Adam(0.01)
    path = TRAIN["latest_checkpoint"](genuine / f"{name}_objects")
    assert path == str(genuine / f"{name}_objects" / "ckpt-1")
    checkpoint = TRAIN["Checkpoint"](model=model, optimizer=optimizer)
    checkpoint.restore(path).assert_consumed()
    assert int(checkpoint.save_counter) == 1 and int(optimizer.iterations) == 2
    model.compile(optimizer, "mse")
    model.train_on_batch(known["x"], known["y"])
    np.testing.assert_allclose(model.predict(known["x"], verbose=0), known["after"], rtol=1e-4)
    with pytest.raises(FileFormatError, match="no object 'net'"):
        TRAIN["Checkpoint"](net=model).restore(path)
    with pytest.raises(FileNotFoundError, match="ckpt-2"):
        TRAIN["Checkpoint"](model=model).restore(genuine / "ckpt-2")
    assert TRAIN["latest_checkpoint"](genuine) is None


def test_inspection(genuine):
    contents = inspect_file(genuine / "old" / "ckpt")
    assert len(contents.weights) == 8 and len(contents.optimizer_weights) == 17
    assert "TensorFlow checkpoint" in report(contents)


# By hand ------------------------------------------------------------------------------------------


def dense(i, inputs, units):
    random = np.random.default_rng(i)
    kernel = random.normal(size=(inputs, units)).astype("f4")
    return {"kernel": kernel, "bias": random.normal(size=units).astype("f4")}


def stack(*sizes):
    return keras.Sequential([L.Input((sizes[0],)), *(L.Dense(n) for n in sizes[1:])])


def test_layers_without_a_place_here(tmp_path):
    """Of a file with more layers, those with weights are counted."""
    first, second = dense(0, 2, 3), dense(1, 3, 1)
    root = model_node([first, second])
    root.edges["layer-2"], root.edges["layer-1"] = root.edges["layer-1"], Node()
    write_checkpoint(tmp_path / "c", root)
    model = stack(2, 3, 1)
    model.load_weights(tmp_path / "c")
    for ours, theirs in zip(model.get_weights(), [*first.values(), *second.values()], strict=True):
        np.testing.assert_array_equal(ours, theirs)


class Mine(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = L.Dense(2)
        self.parts = [L.Dense(2), L.Dense(2)]
        self.named = {"a": L.Dense(2)}
        self.factor = keras.Variable([1.0, 1.0])
        self.seen = keras.metrics.Mean()

    def build(self, shape):
        self.own = self.add_weight((2,), name="offset")

    def call(self, x):
        x = self.named["a"](self.parts[1](self.parts[0](self.first(x))))
        return x * self.factor + self.own


def mine_node():
    layers = [Node({k: Node(value=v) for k, v in dense(i, 2, 2).items()}) for i in range(4)]
    metric = Node({"total": Node(value=np.float32(3)), "count": Node(value=np.float32(3))})
    return Node(
        {
            "first": layers[0],
            "parts": Node({"0": layers[1], "1": layers[2]}),
            "named": Node({"a": layers[3]}),
            "factor": Node(value=np.float32([2, 3])),
            "offset": Node(value=np.float32([4, 5])),
            "seen": metric,
        }
    )


def mine():
    model = Mine()
    model(np.zeros((1, 2), "f4"))
    return model


def test_attributes(tmp_path):
    node = mine_node()
    node.edges["root"] = node  # a cycle, as in every file
    write_checkpoint(tmp_path / "c", node)
    model = mine()
    model.load_weights(tmp_path / "c")
    np.testing.assert_array_equal(model.factor.numpy(), [2, 3])
    np.testing.assert_array_equal(model.own.numpy(), [4, 5])
    for i, layer in enumerate([model.first, *model.parts, model.named["a"]]):
        np.testing.assert_array_equal(layer.kernel.numpy(), dense(i, 2, 2)["kernel"])


def optimizer_node(variables, order, offset):
    """Momenta in a file's own order of variables."""
    listed = [Node(value=np.int64(3), name="iteration")]
    for i in order:
        shape = np.shape(variables[i].value)
        listed.append(
            Node(value=np.full(shape, i + offset, "f4"), name=f"SGD/m/{variables[i].name}")
        )
    return Node({"_variables": Node({str(i): node for i, node in enumerate(listed)})})


def test_state_of_an_optimizer_goes_by_its_variables(tmp_path):
    """tf.keras may list a model's variables in another order; all have one shape here."""
    node = mine_node()
    layers = [node.edges["first"], *node.edges["parts"].edges.values()]
    layers.append(node.edges["named"].edges["a"])
    kernels = [layer.edges["kernel"] for layer in layers]
    biases = [layer.edges["bias"] for layer in layers]
    variables = [*kernels, *biases, node.edges["factor"], node.edges["offset"]]
    for i, variable in enumerate(variables):
        variable.name = f"v{i}/w"
    node.edges["optimizer"] = optimizer_node(variables, [3, 9, 0, 2, 5, 4, 8, 1, 7, 6], 1)
    write_checkpoint(tmp_path / "c", node)
    model = mine()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_weights(tmp_path / "c")
    ours = [model.first, *model.parts, model.named["a"]]
    expected = [layer.kernel for layer in ours] + [layer.bias for layer in ours]
    expected = {id(v): i + 1 for i, v in enumerate([*expected, model.factor, model.own])}
    assert int(model.optimizer.iterations) == 3
    momenta = model.optimizer.variables[2:]
    for variable, momentum in zip(model.trainable_variables, momenta, strict=True):
        assert float(momentum.max()) == float(momentum.min()) == expected[id(variable)]


@pytest.mark.parametrize("names", [["same/w"] * 2, ["a/w", "else/w"]])
def test_state_without_names_of_variables(tmp_path, names):
    """Whose it is would be a guess."""
    variables = [Node(value=np.zeros((2, 2), "f4"), name=f"{name}/w") for name in "ab"]
    layers = [Node({"kernel": v, "bias": Node(value=np.zeros(2, "f4"))}) for v in variables]
    root = Node({f"layer_with_weights-{i}": layer for i, layer in enumerate(layers)})
    for i, layer in enumerate(layers):
        layer.edges["bias"].name = f"bias{i}/w"
    listed = [variables[0], variables[1], *(layer.edges["bias"] for layer in layers)]
    for variable, name in zip(variables, names, strict=True):
        variable.name = name
    root.edges["optimizer"] = optimizer_node(listed, [0, 1, 2, 3], 1)
    variables[1].name = names[0] if names[0] == names[1] else "b/w"
    write_checkpoint(tmp_path / "c", root)
    model = stack(2, 2, 2)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    with pytest.warns(UserWarning, match="does not say by names which variable"):
        model.load_weights(tmp_path / "c")
    assert int(model.optimizer.iterations) == 0


def test_several_objects(tmp_path):
    """A model is found beside others, unless two have its weights."""
    nodes = model_node([dense(0, 2, 3)]), model_node([dense(1, 2, 4)])
    write_checkpoint(tmp_path / "c", Node({"generator": nodes[0], "critic": nodes[1]}))
    for i, units in enumerate((3, 4)):
        model = stack(2, units)
        model.load_weights(tmp_path / "c")
        np.testing.assert_array_equal(model.get_weights()[0], dense(i, 2, units)["kernel"])
    write_checkpoint(tmp_path / "c", Node({"a": nodes[0], "b": model_node([dense(2, 2, 3)])}))
    with pytest.raises(FileFormatError, match=r"several objects[\s\S]*\['a', 'b'\]"):
        stack(2, 3).load_weights(tmp_path / "c")


def test_modules_lists_and_variables(tmp_path):
    class Line(Module):
        def __init__(self):
            self.w = keras.Variable([0.0])
            self.parts = [keras.Variable(0.0), keras.Variable(0.0)]

    parts = Node({"0": Node(value=np.float32(2)), "1": Node(value=np.float32(3))})
    line = Node({"w": Node(value=np.float32([1])), "parts": parts})
    root = Node({"line": line, "step": Node(value=np.int64(7)), "save_counter": Node(value=2)})
    write_checkpoint(tmp_path / "c", root)
    line, step = Line(), keras.Variable(0, dtype="int64")
    TRAIN["Checkpoint"](line=line, step=step).restore(tmp_path / "c")
    found = [line.w[0], *line.parts, step]
    assert [v.item() for v in found] == [1, 2, 3, 7]


def test_what_does_not_fit(tmp_path):
    write_checkpoint(tmp_path / "c", model_node([dense(0, 2, 3), dense(1, 3, 1)]))
    for model, words in (
        (stack(2, 4, 1), r"has another shape[\s\S]*\(2, 4\)[\s\S]*\(2, 3\)"),
        (stack(2, 3), "has values for 2 weights that the model does not have"),
        (stack(2, 3, 1, 1), "has no values for 2 of the model's weights"),
        (mine(), "has no values for 10"),
    ):
        before = model.get_weights()
        with pytest.raises(FileFormatError, match=words):
            model.load_weights(tmp_path / "c")
        for ours, former in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, former)
    model = stack(2, 3)
    with pytest.warns(UserWarning, match="2 weights that the model does not have"):
        model.load_weights(tmp_path / "c", skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], dense(0, 2, 3)["kernel"])
    for argument in ({"by_name": True}, {"objects_to_skip": []}, {"mapping": {}}):
        with pytest.raises(ValueError, match="only supports"):
            model.load_weights(tmp_path / "c", **argument)


def test_other_files(tmp_path):
    write_bundle(tmp_path / "old", {"conv1/weights": np.zeros(3, "f4")})
    with pytest.raises(FileFormatError, match=r"TensorFlow 1[\s\S]*conv1/weights"):
        stack(2, 3).load_weights(tmp_path / "old")
    with pytest.raises(FileFormatError, match="holds weights but no model"):
        keras.models.load_model(tmp_path / "old")
    with pytest.raises(FileFormatError, match="without '.index'"):
        stack(2, 3).load_weights(tmp_path / "old.index")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "gone-3"\n')
    with pytest.raises(FileFormatError, match="names no checkpoint that is there"):
        stack(2, 3).load_weights(tmp_path)
    assert TRAIN["latest_checkpoint"](tmp_path) is None
    (tmp_path / "checkpoint").write_bytes(b'model_checkpoint_path: "\\303\\251"\n')
    write_checkpoint(tmp_path / "é", model_node([dense(0, 2, 3)]))
    stack(2, 3).load_weights(tmp_path)
