"""What users get wrong first, and that each ends in one message that teaches.

A message names the layer or the argument, shows what was given and what was expected, and says what
to do. Types are those that Keras raises, or subclasses. Nobody gets to see a bare `RuntimeError` of
torch's.
"""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import layers

RNG = np.random.default_rng(0)
X = RNG.random((20, 4)).astype("float32")
Y = RNG.random((20, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 20)
WIDE = RNG.random((20, 5)).astype("float32")
DEEP = RNG.random((20, 3, 4)).astype("float32")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.norm = layers.BatchNormalization(name="first")  # takes no other rank
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        return self.head(self.norm(x))


def functional():
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, layers.Dense(1, name="head")(inputs), name="mine")


def sequential():
    return keras.Sequential(
        [keras.Input((4,), name="features"), layers.Dense(1, name="head")], name="mine"
    )


def sequential_built_by_data():
    model = keras.Sequential([layers.Dense(1, name="head")], name="mine")
    model(X)
    return model


def subclassed():
    model = Subclassed()
    model(X)
    return model


STYLES = [functional, sequential, sequential_built_by_data, subclassed]


def compiled(model, loss="mse", **kwargs):
    model.compile("sgd", loss, **kwargs)
    return model


def classifier():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax", name="classes")])


def message(error, function, *args, **kwargs):
    """Call, and return the message of the error, which must be of this type."""
    with pytest.raises(error) as info:
        function(*args, **kwargs)
    assert type(info.value) not in (RuntimeError, IndexError)
    return str(info.value)


def has(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in:\n{text}"


# Shapes of the data ------------------------------------------------------------------------------

USES = {
    "fit": lambda model, x: compiled(model).fit(x, Y, verbose=0),
    "fit in later batches": lambda model, x: compiled(model).fit(
        iter([(X, Y), (x, Y)]), shuffle=False, verbose=0
    ),
    "evaluate": lambda model, x: compiled(model).evaluate(x, Y, verbose=0),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "train_on_batch": lambda model, x: compiled(model).train_on_batch(x, Y),
    "validation_data": lambda model, x: compiled(model).fit(
        X, Y, validation_data=(x, Y), verbose=0
    ),
    "call": lambda model, x: model(x),
    "call on a tensor": lambda model, x: model(torch.tensor(x)),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("make", STYLES)
def test_wrong_feature_size(make, use):
    text = message(ValueError, USES[use], make(), WIDE)
    has(text, "(20, 5)", "4", "Fix: ")
    assert any(name in text for name in ("mine", "first", "head"))  # the model or its layer


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("make", STYLES)
def test_wrong_rank(make, use):
    text = message(ValueError, USES[use], make(), DEEP)
    has(text, "(20, 3, 4)", "Fix: ")
    assert "mine" in text or "first" in text


@pytest.mark.parametrize("make", STYLES)
def test_forgotten_batch_axis(make):
    text = message(ValueError, make().predict, X[0], verbose=0)
    has(text, "(4,)", "Fix: ", "x[None]")


@pytest.mark.parametrize("make", STYLES)
def test_x_and_y_of_different_lengths(make):
    text = message(ValueError, compiled(make()).fit, X, Y[:10], verbose=0)
    has(text, "'x' sizes: 20", "'y' sizes: 10", "Fix: ")


def test_sample_weight_and_validation_data_of_different_lengths():
    model = compiled(functional())
    text = message(ValueError, model.fit, X, Y, sample_weight=np.ones(3), verbose=0)
    has(text, "'sample_weight' sizes: 3", "Fix: ")
    text = message(ValueError, model.fit, X, Y, validation_data=(X, Y[:3]), verbose=0)
    has(text, "'y' sizes: 3", "Fix: ")


@pytest.mark.parametrize(
    ("loss", "y", "fix"),
    [
        ("mse", RNG.random((20, 2)), "last layer"),
        ("mse", RNG.random(20), "as many units as the targets"),
        ("mse", RNG.random((20, 5, 3)), "reshape the targets"),
        ("categorical_crossentropy", LABELS, "sparse_categorical_crossentropy"),
        ("categorical_crossentropy", np.eye(4)[LABELS], "last layer"),
        ("binary_crossentropy", LABELS, "to_categorical"),
        ("sparse_categorical_crossentropy", np.eye(3)[LABELS], "categorical_crossentropy"),
    ],
)
def test_targets_that_do_not_match_the_output(loss, y, fix):
    text = message(ValueError, compiled(classifier(), loss).fit, X, y, verbose=0)
    has(text, loss.replace("mse", "mean_squared_error"), str(y.shape), "(20, 3)", "Fix: ", fix)


@pytest.mark.parametrize("weights", [None, np.ones(20)], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("labels", "fix"), [(LABELS + 1, "subtract 1"), (LABELS - 1, "number the classes from 0")]
)
@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_outside_the_class_range(labels, fix, weights, from_logits):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model = compiled(classifier(), loss, metrics=["accuracy"])
    text = message(ValueError, model.fit, X, labels, sample_weight=weights, verbose=0)
    has(text, f"labels from {labels.min()} to {labels.max()}", "integers from 0 to 2", fix)
    text = message(ValueError, model.evaluate, X, labels, verbose=0)
    has(text, "y_true", "3 classes", "Fix: ")


def test_indices_outside_the_vocabulary():
    model = keras.Sequential(
        [layers.Embedding(10, 3, name="words"), layers.Flatten(), layers.Dense(1)]
    )
    tokens = np.array([[1, 12]] * 20)
    text = message(ValueError, compiled(model).fit, tokens, Y, verbose=0)
    has(text, "words", "from 1 to 12", "from 0 to 9", "input_dim=10", "Fix: ")


def test_no_targets():
    for method in (compiled(functional()).fit, compiled(subclassed()).evaluate):
        has(message(ValueError, method, X, verbose=0), "targets `y`", "None", "Fix: ")
    two = compiled(two_inputs())
    text = message(ValueError, two.fit, [X, X[:, :2]], [Y, None], verbose=0)
    has(text, "targets `y`", "second", "Fix: ")


# Kinds of data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "expected"),
    [(X[:0], "0 samples"), ([], "no data"), (None, "no data"), (iter([]), "at least one batch")],
    ids=["array", "list", "None", "generator"],
)
def test_empty_data(x, expected):
    text = message(ValueError, compiled(functional()).fit, x, None, shuffle=False, verbose=0)
    has(text, expected, "Fix: ")


def test_empty_data_in_predict_and_evaluate():
    model = compiled(functional())
    has(message(ValueError, model.predict, X[:0], verbose=0), "(0, 4)", "Fix: ")
    has(message(ValueError, model.evaluate, X[:0], Y[:0], verbose=0), "(0, 4)", "Fix: ")
    text = message(ValueError, model.fit, X, Y, validation_split=1.0, verbose=0)
    has(text, "validation_split=1.0", "20", "Fix: ")


@pytest.mark.parametrize(
    ("x", "parts"),
    [
        (np.array([["a"] * 4] * 20), ("'features'", "strings", "encode text")),
        (np.array([[1], [1, 2]], dtype=object), ("`x`", "object", "equally long")),
        (X.tolist(), ("`x`", "list of float", "np.array(x)")),
        ("data.csv", ("`x`", "'data.csv'", "convert it")),
        (3.0, ("`x`", "3.0", "np.array(x)")),
    ],
    ids=["strings", "ragged", "list", "path", "number"],
)
def test_data_that_is_no_array_of_numbers(x, parts):
    y = Y[: len(x)] if isinstance(x, np.ndarray) else Y
    has(message(ValueError, compiled(functional()).fit, x, y, verbose=0), *parts, "Fix: ")


def test_string_targets():
    text = message(ValueError, compiled(functional()).fit, X, np.array(["cat"] * 20), verbose=0)
    has(text, "`y`", "'cat'", "encode text")


def test_batches_of_too_many_parts():
    text = message(
        ValueError, compiled(functional()).fit, iter([(X, Y, Y, Y)]), shuffle=False, verbose=0
    )
    has(text, "4 parts", "(x, y, sample_weight)", "Fix: ")


# Several inputs and outputs ----------------------------------------------------------------------


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    first = layers.Dense(1, name="first")(layers.concatenate([a, b]))
    second = layers.Dense(1, name="second")(a)
    return keras.Model([a, b], [first, second], name="pair")


@pytest.mark.parametrize(
    ("x", "parts"),
    [
        (X, ("['a', 'b']", "(20, 4)")),
        ([X, X[:, :2], X], ("['a', 'b']", "(20, 2)")),
        ([X[:, :2], X], ("'a'", "(20, 2)", "(None, 4)")),
        ({"a": X, "c": X[:, :2]}, ("'b'", "['a', 'c']", "['a', 'b']")),
        ({"a": X}, ("'b'", "['a']")),
    ],
    ids=["one", "three", "swapped", "wrong key", "missing key"],
)
@pytest.mark.parametrize("use", ["fit", "predict", "call"])
def test_wrong_inputs_of_a_model_with_two(x, parts, use):
    model = compiled(two_inputs())
    call = {
        "fit": lambda: model.fit(x, [Y, Y], verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "call": lambda: model(x),
    }[use]
    has(message(ValueError, call), "pair", *parts, "Fix: ")


def test_several_inputs_for_a_model_with_one():
    text = message(ValueError, compiled(functional()).fit, [X, X], Y, verbose=0)
    has(text, "mine", "features", "Fix: ")
    text = message(ValueError, compiled(subclassed()).fit, [X, X], Y, verbose=0)
    has(text, "first", "1 input(s)", "received 2", "Fix: ")


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (Y, ("y_true", "y_pred")),
        ([Y, Y, Y], ("y_true", "y_pred")),
        ({"first": Y, "secnd": Y}, ("'secnd'", "Did you mean 'second'?", "['first', 'second']")),
    ],
    ids=["one", "three", "wrong key"],
)
def test_wrong_targets_of_a_model_with_two_outputs(y, parts):
    x = [X, X[:, :2]]
    has(message(ValueError, compiled(two_inputs()).fit, x, y, verbose=0), *parts, "Fix: ")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"loss": {"first": "mse", "secnd": "mse"}}, ("`loss`", "'secnd'", "'second'")),
        ({"loss": ["mse"] * 3}, ("`loss`", "['first', 'second']")),
        ({"metrics": {"secnd": ["mae"]}}, ("`metrics`", "'secnd'", "'second'")),
        ({"loss_weights": {"secnd": 1.0}}, ("`loss_weights`", "'secnd'", "'second'")),
    ],
    ids=["loss key", "losses", "metrics key", "loss_weights key"],
)
def test_compile_arguments_for_outputs_that_do_not_exist(arguments, parts):
    model = two_inputs()
    arguments = {"loss": "mse", **arguments}

    def run():
        model.compile("sgd", **arguments)
        model.fit([X, X[:, :2]], [Y, Y], verbose=0)

    has(message(ValueError, run), *parts, "Fix: ")


# Names and arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: functional().compile("adamm", "mse"), ("optimizer", "'adamm'", "'Adam'")),
        (
            lambda: functional().compile("sgd", "sparse_categorical_crosentropy"),
            ("loss", "'sparse_categorical_crosentropy'", "'sparse_categorical_crossentropy'"),
        ),
        (
            lambda: functional().compile("sgd", "mse", metrics=["acuracy"]),
            ("metric", "'acuracy'", "'Accuracy'"),
        ),
        (lambda: layers.Dense(3, activation="rellu"), ("activation", "'rellu'", "'relu'")),
        (lambda: layers.Activation("sofmax"), ("activation", "'sofmax'", "'softmax'")),
        (
            lambda: layers.Dense(3, kernel_initializer="glorot_unifrm"),
            ("initializer", "'glorot_unifrm'", "'glorot_uniform'"),
        ),
        (lambda: layers.Dense(3, kernel_regularizer="l22"), ("regularizer", "'l22'", "'L2'")),
        (lambda: layers.Dense(3, kernel_constraint="maxnorm2"), ("constraint", "'maxnorm2'")),
    ],
    ids=[
        "optimizer",
        "loss",
        "metric",
        "activation",
        "Activation",
        "initializer",
        "regularizer",
        "constraint",
    ],
)
def test_unknown_names(make, parts):
    has(message(ValueError, make), "Unknown", "Did you mean", *parts, "Fix: ")


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: layers.Dense(3, activaton="relu"), ("Dense", "'activaton'", "'activation'")),
        (lambda: layers.Conv2D(3, 3, stride=2), ("Conv2D", "'stride'", "'strides'")),
        (
            lambda: layers.LSTM(3, return_sequence=True),
            ("LSTM", "'return_sequence'", "'return_sequences'"),
        ),
        (
            lambda: keras.optimizers.Adam(learning_rat=0.1),
            ("Adam", "'learning_rat'", "'learning_rate'"),
        ),
        (lambda: keras.optimizers.Adam(lr=0.1), ("Adam", "'lr'", "`learning_rate`")),
    ],
    ids=["Dense", "Conv2D", "LSTM", "Adam", "lr"],
)
def test_unknown_arguments(make, parts):
    has(message(ValueError, make), *parts, "Fix: ")


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: layers.Dense(3.5), ("Dense", "`units`", "units=3.5")),
        (lambda: layers.Dense(-3), ("Dense", "`units`", "units=-3")),
        (lambda: layers.Dense(None), ("Dense", "`units`", "units=None")),
        (lambda: layers.Conv2D(0, 3), ("Conv2D", "`filters`", "0")),
        (lambda: layers.Conv2D(2, (3, 3, 3)), ("`kernel_size`", "(3, 3, 3)", "2 integers")),
        (lambda: layers.Conv2D(2, 3, padding="sames"), ("padding", "'sames'", "'same'")),
        (lambda: layers.Dropout(50), ("Dropout", "`rate`", "rate=50")),
        (
            lambda: keras.losses.MeanSquaredError(reduction="avg"),
            ("`reduction`", "'avg'", "sum_over_batch_size"),
        ),
        (lambda: keras.optimizers.Adam("0.1"), ("Adam", "`learning_rate`", "'0.1'")),
        (lambda: functional().compile(5, "mse"), ("optimizer", "5", "a name")),
        (lambda: functional().compile("sgd", 5), ("loss", "5", "a name")),
        (lambda: compiled(functional(), metrics="mae"), ("`metrics`", "'mae'", "['mae']")),
        (lambda: keras.Input(4), ("shape", "4", "(4,)")),
        (lambda: functional().get_layer("hed"), ("hed", "Did you mean 'head'?")),
    ],
    ids=lambda value: value[0] + value[1] if isinstance(value, tuple) else "",
)
def test_arguments_of_wrong_type_or_range(make, parts):
    has(message(ValueError, make), *parts)


@pytest.mark.parametrize(
    ("callback", "fix"),
    [("early", "Callback"), (keras.callbacks.History, "instance"), (print, "LambdaCallback")],
    ids=["string", "class", "function"],
)
def test_what_is_no_callback(callback, fix):
    text = message(TypeError, compiled(functional()).fit, X, Y, callbacks=[callback], verbose=0)
    has(text, "`callbacks`", "received", "Fix: ", fix)


@pytest.mark.parametrize("epochs", [2.5, "2", None])
def test_epochs_that_are_no_integer(epochs):
    text = message(TypeError, compiled(functional()).fit, X, Y, epochs=epochs, verbose=0)
    has(text, "`epochs`", f"epochs={epochs!r}", "Fix: ")


# Order of things ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", STYLES)
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_use_before_compile(make, method):
    text = message(ValueError, getattr(make(), method), X, Y)
    has(text, "mine", "compile()", f"{method}()", "Fix: ")


def test_compile_without_loss():
    model = functional()
    model.compile("sgd")
    has(message(ValueError, model.fit, X, Y, verbose=0), "mine", "loss", "Fix: ")


def test_a_model_that_returns_nothing():
    class Forgetful(Subclassed):
        def call(self, x):
            super().call(x)

    text = message(ValueError, compiled(Forgetful()).fit, X, Y, verbose=0)
    has(text, "returned None", "Fix: return")


def test_a_frozen_model_warns():
    model = functional()
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="not have any trainable weights.*mine"):
        model.fit(X, Y, verbose=0)


# Graphs ------------------------------------------------------------------------------------------


def test_a_graph_that_is_not_connected():
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    outputs = layers.Dense(1)(layers.add([a, b]))
    text = message(ValueError, keras.Model, a, outputs)
    has(text, "not connected", "'right'", "['left']", "Fix: ")


@pytest.mark.parametrize(
    "outputs", [layers.Dense(1), np.ones(3), None], ids=["layer", "array", "None"]
)
def test_outputs_that_are_not_symbolic(outputs):
    text = message(ValueError, keras.Model, keras.Input((4,)), outputs)
    has(text, "`outputs`", "KerasTensor", type(outputs).__name__, "Fix: ")


def test_layers_that_are_not_layers():
    has(message(ValueError, keras.Sequential, ["dense"]), "'dense'", "keras.Layer")
    has(message(ValueError, keras.Sequential, [layers.Dense]), "Dense", "instance")


def test_unknown_feature_size():
    text = message(ValueError, layers.Dense(3, name="head"), keras.Input((None,)))
    has(text, "head", "(None, 3)", "Fix: ")


@pytest.mark.parametrize(
    ("layer", "shape", "parts"),
    [
        (lambda: layers.LSTM(3, name="lstm"), (4,), ("lstm", "ndim=3", "ndim=2", "Fix: ")),
        (lambda: layers.Conv2D(3, 3, name="conv"), (28, 28), ("conv", "x[..., None]", "28, 28")),
        (lambda: layers.Conv2D(3, 5, name="conv"), (3, 3, 1), ("conv", "(5, 5)", "Fix: ")),
        (lambda: layers.MaxPooling2D(5, name="pool"), (3, 3, 1), ("pool", "3, 3, 1)", "Fix: ")),
        (lambda: layers.Reshape((5,), name="shape"), (4,), ("shape", "(5,)", "4", "Fix: ")),
    ],
    ids=["LSTM", "Conv2D without channels", "Conv2D", "MaxPooling2D", "Reshape"],
)
@pytest.mark.parametrize("way", ["symbolic", "eager"])
def test_inputs_that_a_layer_cannot_take(layer, shape, parts, way):
    x = keras.Input(shape) if way == "symbolic" else np.ones((2, *shape), "float32")
    has(message(ValueError, layer(), x), *parts)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (lambda: layers.Conv2D(2, 3, name="here"), [(8, 8, 1), (8, 8, 8, 1)]),
        (lambda: layers.Conv2D(2, 3, name="here"), [(8, 8, 1), (2, 2, 1)]),
        (lambda: layers.LSTM(2, name="here"), [(5, 4), (5, 3)]),
        (lambda: layers.RNN(layers.SimpleRNNCell(2, name="here")), [(5, 4), (5, 3)]),
        (lambda: layers.LayerNormalization(name="here"), [(4,), (5,)]),
        (lambda: layers.PReLU(name="here"), [(4,), (5,)]),
        (lambda: layers.TimeDistributed(layers.Dense(2), name="here"), [(5, 4), (5, 3)]),
        (lambda: layers.TorchModuleWrapper(torch.nn.Linear(4, 2), name="here"), [(4,), (5,)]),
    ],
    ids=[
        "rank",
        "window",
        "LSTM",
        "RNN",
        "LayerNormalization",
        "PReLU",
        "TimeDistributed",
        "torch",
    ],
)
def test_built_layers_called_on_other_shapes(layer, shapes):
    """The checks that `call` does without, torch does; its error names the layer all the same."""
    layer = layer()
    layer(torch.ones(2, *shapes[0]))
    text = message(ValueError, layer, torch.ones(2, *shapes[1]))
    has(text, "here", str(shapes[1][-1]), "Fix: ")


def test_merging_shapes_that_do_not_fit():
    layer = layers.Add(name="sum")
    layer([torch.ones(2, 3), torch.ones(2, 3)])
    text = message(ValueError, layer, [torch.ones(2, 3), torch.ones(2, 4)])
    has(text, "sum", "(2, 3)", "(2, 4)", "Fix: ")
    text = message(ValueError, layers.Add(name="sum"), keras.Input((3,)))
    has(text, "sum", "list", "Fix: ")


def test_users_layers_raise_their_own_errors():
    class Picky(keras.Layer):
        def call(self, x):
            raise RuntimeError("my own words")

    layer = Picky()
    with pytest.raises(RuntimeError, match="^my own words$"):
        layer(torch.ones(2, 3))


def test_operations_on_symbolic_tensors_that_do_not_fit():
    text = message(ValueError, lambda: keras.Input((3,)) @ np.ones((4, 4)))
    has(text, "matmul", "[None, 3]", "Fix: ")
    has(message(TypeError, lambda: bool(keras.Input((3,)) > 0)), "bool", "symbolic")


def test_forgotten_super_init():
    class Broken(keras.Model):
        def __init__(self):
            self.head = layers.Dense(1)

    with pytest.raises(RuntimeError, match="Broken.*super"):
        Broken()(X)


# Weights and files -------------------------------------------------------------------------------


def test_set_weights_of_wrong_shape():
    text = message(ValueError, functional().set_weights, [np.ones((3, 1)), np.ones(1)])
    has(text, "head/kernel", "(3, 1)", "(4, 1)", "Fix: ")
    text = message(ValueError, functional().layers[-1].set_weights, [np.ones((4, 1)), np.ones(2)])
    has(text, "head", "(2,)", "(1,)", "Fix: ")
    text = message(ValueError, functional().set_weights, [np.ones((4, 1))])
    has(text, "mine", "length 1", "expecting 2", "Fix: ")
    text = message(ValueError, functional().layers[-1].kernel.assign, np.ones((2, 2)))
    has(text, "head/kernel", "(2, 2)", "(4, 1)", "Fix: ")


SUFFIXES = [".keras", ".h5", ".weights.h5", ".safetensors"]


def load(path):
    if path.name.endswith(".weights.h5"):
        return functional().load_weights(path)
    return keras.models.load_model(path)


def save(path):
    model = functional()
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return model


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_file(tmp_path, suffix):
    text = message(ValueError, load, tmp_path / f"gone{suffix}")
    has(text, f"gone{suffix}", "does not exist", "Fix: ")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("kept", [0, 0.5, 0.98], ids=["empty", "half", "most"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_file(tmp_path, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    text = message(ValueError, load, path)
    has(text, f"cut{suffix}", "Fix: ")
    assert "empty" in text or "incomplete" in text


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello, this is no model\n" * 9, "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "PNG"),
        (b"\x80\x02}q\x00." + bytes(50), "pickle"),
        (bytes(range(256)) * 4, ""),
    ],
    ids=["text", "image", "pickle", "bytes"],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_foreign_file(tmp_path, suffix, content, what):
    path = tmp_path / f"alien{suffix}"
    path.write_bytes(content)
    has(message(ValueError, load, path), f"alien{suffix}", what, "Fix: ")


def test_pytorch_file(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"weight": torch.ones(2)}, path)
    has(message(ValueError, keras.models.load_model, path), "PyTorch", "torch.load", "Fix: ")


def test_weights_of_another_model(tmp_path):
    path = tmp_path / "some.weights.h5"
    save(path)
    other = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="wide")])
    text = message(ValueError, other.load_weights, path)
    has(text, "wide", "(4, 2)", "(4, 1)", "Fix: ", "skip_mismatch")
    has(message(ValueError, keras.models.load_model, path), "no model", "load_weights")


def test_unknown_class_in_a_file(tmp_path):
    class Mine(keras.Layer):
        def call(self, x):
            return x

    path = tmp_path / "custom.keras"
    keras.Sequential([keras.Input((4,)), Mine()]).save(path)
    text = message(TypeError, keras.models.load_model, path)
    has(text, "custom.keras", "'Mine'", "Fix: ", "custom_objects")
    assert text.count("Fix: ") == 1


@pytest.mark.parametrize("name", ["model", "model.txt"])
def test_saving_under_an_unknown_extension(tmp_path, name):
    text = message(ValueError, functional().save, tmp_path / name)
    has(text, name, ".keras", "Fix: ")


def test_saving_into_a_missing_folder(tmp_path):
    text = message(FileNotFoundError, functional().save, tmp_path / "nowhere" / "model.keras")
    has(text, "nowhere", "does not exist", "Fix: ")


# Losses that are no numbers ----------------------------------------------------------------------


def test_a_nan_loss_stops_training(capsys):
    x = X.copy()
    x[0, 0] = np.nan
    history = compiled(functional()).fit(
        x, Y, epochs=5, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1
    assert "Invalid loss, terminating training" in capsys.readouterr().out


def test_a_nan_loss_from_labels_and_learning_rate(capsys):
    model = compiled(functional())
    model.optimizer.learning_rate = 1e30
    history = model.fit(
        X, Y, batch_size=2, epochs=5, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1
    assert "terminating training" in capsys.readouterr().out


def test_a_monitor_that_does_not_exist():
    stop = keras.callbacks.EarlyStopping(monitor="val_lss")
    text = message(ValueError, compiled(functional()).fit, X, Y, callbacks=[stop], verbose=0)
    has(text, "EarlyStopping", "'val_lss'", "['loss']", "Fix: ")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: layers.MaxPooling2D(2, padding=-1), ValueError, "`padding` must be"),
        (lambda: layers.AveragePooling1D(2, padding=["same"]), ValueError, "`padding` must be"),
        (lambda: layers.RandomFlip("sideways"), ValueError, "`mode` must be one of"),
        (lambda: layers.Lambda("x * 2"), TypeError, "must be callable"),
        (lambda: layers.PReLU(shared_axes=[2.5]), TypeError, "must be integers"),
        (lambda: layers.EinsumDense(3, 2)(X), TypeError, "`equation` must be a string"),
        (lambda: layers.StringLookup(output_mode=["int"]), ValueError, "output_mode"),
        (lambda: layers.StringLookup(vocabulary=["a"], encoding=3), ValueError, "`encoding`"),
        (lambda: layers.Dense.from_config(None), TypeError, "`config` must be a dict"),
        (lambda: keras.Model.from_config([]), TypeError, "`config` must be a dict"),
        (lambda: keras.losses.MeanSquaredError(name=3), ValueError, "must be a string"),
        (lambda: keras.metrics.MeanIoU(3, ignore_class="2"), ValueError, "`ignore_class` must be"),
        (lambda: keras.optimizers.SGD(clipnorm=[1.0]), TypeError, "`clipnorm` must be a number"),
        (lambda: keras.random.dropout(X, 0.5, noise_shape=(4,)), ValueError, "`noise_shape`"),
        (lambda: functional().save(3), ValueError, "must be a path"),
        (lambda: keras.saving.load_model(3), ValueError, "no path of a file"),
    ],
)
def test_a_wrong_argument_is_named(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_a_damaged_file_is_also_an_oserror_as_in_h5py(tmp_path):
    (tmp_path / "m.h5").write_text("nonsense")
    with pytest.raises(OSError, match="text file"):
        keras.saving.load_model(tmp_path / "m.h5")


def test_no_steps_are_all_and_fewer_are_an_error():
    model = compiled(functional())
    assert model.fit(X, Y, steps_per_epoch=0, verbose=0).history["loss"]
    assert model.predict(X, steps=0, verbose=0).shape == (20, 1)
    with pytest.raises(ValueError, match="number of steps"):
        model.fit(X, Y, steps_per_epoch=-1, verbose=0)
