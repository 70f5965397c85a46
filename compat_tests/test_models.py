"""Models of all kinds against real Keras: structure, weights, configs both ways, predictions.

Each model of the zoo is built by the same code in both libraries, after the same seed.
"""

import json
import os
import re

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch
from oracle import as_list, assert_same_error, copy_weights, seed_both, to_numpy

import torchkeras

# Keras warns of `input_shape=` on a layer; we do not.
pytestmark = pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")

RNG = np.random.default_rng(0)
X4 = RNG.normal(size=(6, 4)).astype("float32")
Z4 = RNG.normal(size=(6, 4)).astype("float32")
IMAGES = RNG.normal(size=(3, 8, 8, 2)).astype("float32")
TOKENS = RNG.integers(1, 10, (5, 6)).astype("int32")
TOKENS[2:, 3:] = 0
SERIES = RNG.normal(size=(4, 5, 3)).astype("float32")


def clear():
    keras.utils.clear_session(free_memory=False)
    torchkeras.utils.clear_session(free_memory=False)


# The zoo -------------------------------------------------------------------------------------


def sequential(k):
    L = k.layers
    return k.Sequential([L.Input((4,)), L.Dense(5, "relu"), L.Dropout(0.3), L.Dense(2)])


def sequential_named(k):
    L = k.layers
    return k.Sequential(
        [k.Input((4,), name="features"), L.Dense(3, name="hidden"), L.Dense(1, name="out")],
        name="tower",
    )


def sequential_input_shape(k):
    L = k.layers
    return k.Sequential([L.Dense(5, input_shape=(4,), activation="tanh"), L.Dense(2)])


def sequential_input_dim(k):
    L = k.layers
    return k.Sequential([L.Dense(5, input_dim=4), L.BatchNormalization(), L.Dense(2)])


def sequential_added(k):
    L = k.layers
    model = k.Sequential(name="grown")
    model.add(k.Input((4,)))
    model.add(L.Dense(7))
    model.add(L.Dense(6))
    model.pop()
    model.add(L.Activation("relu"))
    model.add(L.Dense(1, activation="sigmoid"))
    return model


def sequential_deferred(k):
    L = k.layers
    model = k.Sequential([L.Dense(5, "relu"), L.LayerNormalization(), L.Dense(2)])
    model(torch.tensor(X4))
    return model


def sequential_built(k):
    L = k.layers
    model = k.Sequential([L.Dense(5, "relu"), L.Dense(2)])
    model.build((None, 4))
    return model


def cnn(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((8, 8, 2)),
            L.Conv2D(4, 3, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.Conv2D(3, 3, strides=2, padding="same", use_bias=False),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


def cnn_flat(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((8, 8, 2)),
            L.Rescaling(0.5, offset=0.1),
            L.Conv2D(2, 3),
            L.Flatten(),
            L.Reshape((6, 12)),
            L.LSTM(4),
            L.Dense(1),
        ]
    )


def functional(k):
    L = k.layers
    x = k.Input((4,), name="x")
    h = L.Dense(5, activation="relu")(x)
    return k.Model(x, L.Dense(2)(h))


def functional_two_inputs(k):
    L = k.layers
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    both = L.Concatenate()([L.Dense(3)(a), L.Dense(2)(b)])
    return k.Model([a, b], L.Dense(1)(L.Add()([both, L.Dense(5)(both)])), name="two_inputs")


def functional_two_outputs(k):
    L = k.layers
    x = k.Input((4,))
    h = L.Dense(5, activation="relu")(x)
    return k.Model(inputs=x, outputs=[L.Dense(2, name="first")(h), L.Dense(1, name="second")(h)])


def functional_dicts(k):
    L = k.layers
    x = {"b": k.Input((4,), name="b"), "a": k.Input((4,), name="a")}
    h = L.Dense(5)(L.Concatenate()([x["a"], x["b"]]))
    return k.Model(x, {"z": L.Dense(2, name="z")(h), "y": L.Dense(1, name="y")(h)})


def functional_nested_lists(k):
    L = k.layers
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    p, q = L.Dense(2)(a), L.Dense(3)(b)
    return k.Model([a, b], [p, {"q": q, "pq": L.Concatenate()([p, q])}])


def functional_shared(k):
    L = k.layers
    shared = L.Dense(3, name="shared")
    a, b = k.Input((4,)), k.Input((4,))
    return k.Model([a, b], L.Dense(1)(L.Subtract()([shared(a), shared(b)])))


def functional_operators(k):
    L = k.layers
    x = k.Input((4,))
    h = L.Dense(4)(x)
    return k.Model(x, (h + x) * 2.0 - h / 3.0)


def functional_lowercase(k):
    L = k.layers
    x = k.Input((4,))
    h = L.add([x, L.Dense(4)(x)])
    return k.Model(x, L.concatenate([h, x]))


def nested(k):
    L = k.layers
    inner = k.Sequential([k.Input((4,)), L.Dense(3), L.Dense(4)], name="inner")
    y = k.Input((4,))
    block = k.Model(y, L.Dense(4, name="block_dense")(inner(y)), name="block")
    x = k.Input((4,))
    return k.Model(x, L.Dense(2)(block(block(x))))


def nested_sequential(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((4,)),
            k.Sequential([L.Dense(3), L.Dense(5)]),
            k.Sequential([k.Input((5,)), L.Dense(2)], name="head"),
        ]
    )


def sub_model(k):
    L = k.layers
    x = k.Input((4,))
    h = L.Dense(5, name="hidden")(x)
    full = k.Model(x, L.Dense(2, name="tail")(L.Activation("relu")(h)))
    return k.Model(full.get_layer("hidden").output, full.output, name="upper_half")


def feature_extractor(k):
    full = functional(k)
    return k.Model(full.inputs, [layer.output for layer in full.layers[1:]])


def residual(k):
    L = k.layers
    x = k.Input((8, 8, 2))
    h = L.Conv2D(4, 3, padding="same")(x)
    for _ in range(2):
        r = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(h))
        h = L.ReLU()(L.Add()([h, r]))
    return k.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(h)))


def text(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((6,), dtype="int32"),
            L.Embedding(10, 4, mask_zero=True),
            L.LSTM(3, return_sequences=True),
            L.LSTM(2),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def text_functional(k):
    L = k.layers
    x = k.Input((6,), dtype="int32")
    e = L.Embedding(10, 4, mask_zero=True)(x)
    h = L.Add()([L.LSTM(4, return_sequences=True)(e), e])
    h = L.Dropout(0.1)(L.LayerNormalization()(h))
    a = L.MultiHeadAttention(2, 2)(h, h)
    return k.Model(x, L.Concatenate()([L.LSTM(3)(a + h), L.GlobalAveragePooling1D()(h)]))


def masked_series(k):
    L = k.layers
    x = k.Input((None, 3))
    h = L.Masking(0.0)(x)
    h = L.Bidirectional(L.GRU(2, return_sequences=True))(h)
    return k.Model(x, L.GlobalAveragePooling1D()(h))


def transformer(k):
    L = k.layers
    x = k.Input((5, 3))
    h = L.Dense(4)(x)
    a = L.MultiHeadAttention(2, 2)(h, h)
    h = L.LayerNormalization()(L.Add()([h, a]))
    f = L.Dense(4)(L.Dense(8, activation="gelu")(h))
    h = L.LayerNormalization()(h + f)
    return k.Model(x, L.Dense(1)(L.GlobalAveragePooling1D()(h)))


def seeded_layers(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((4,)),
            L.Dense(4, kernel_initializer=k.initializers.HeNormal(seed=3)),
            L.GaussianNoise(0.1),
            L.Dropout(0.5, seed=7),
            L.Dense(2, kernel_initializer="orthogonal", bias_initializer="random_normal"),
        ]
    )


def regularized(k):
    L = k.layers
    x = k.Input((4,))
    h = L.Dense(3, kernel_regularizer="l2", activity_regularizer=k.regularizers.L1(0.1))(x)
    return k.Model(x, L.Dense(2, kernel_constraint=k.constraints.MaxNorm(1.0))(h))


def mixed(k):
    L = k.layers
    x = k.Input((4,))
    return k.Model(x, L.Dense(2, dtype="float32")(L.Dense(3, dtype="mixed_bfloat16")(x)))


def frozen(k):
    model = functional(k)
    model.layers[1].trainable = False
    return model


ZOO = {
    sequential: X4,
    sequential_named: X4,
    sequential_input_shape: X4,
    sequential_input_dim: X4,
    sequential_added: X4,
    sequential_deferred: X4,
    sequential_built: X4,
    cnn: IMAGES,
    cnn_flat: IMAGES,
    functional: X4,
    functional_two_inputs: [X4, Z4],
    functional_two_outputs: X4,
    functional_dicts: {"a": X4, "b": Z4},
    functional_nested_lists: [X4, Z4],
    functional_shared: [X4, Z4],
    functional_operators: X4,
    functional_lowercase: X4,
    nested: X4,
    nested_sequential: X4,
    sub_model: RNG.normal(size=(6, 5)).astype("float32"),
    feature_extractor: X4,
    residual: IMAGES,
    text: TOKENS,
    text_functional: TOKENS,
    masked_series: SERIES,
    transformer: SERIES,
    seeded_layers: X4,
    regularized: X4,
    mixed: X4,
    frozen: X4,
}
# What is not the same by design: a cut-out graph has input names of its own (Keras: the tensor's
# name with "CLONE"), and masks are not recorded as operations of the graph.
OWN_INPUT_NAMES = (sub_model,)
NO_MASK_OPERATIONS = (masked_series, text_functional)
ALL = pytest.mark.parametrize("make", list(ZOO), ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


def pair(make, seed=1337):
    made = []
    for library in (torchkeras, keras):
        clear()
        seed_both(seed)
        made.append(make(library))
    return made


def layer_names(model):
    """The names of the layers; a clone's input layers are named after tensors in Keras."""
    return [layer.name for layer in model.layers if type(layer).__name__ != "InputLayer"]


def normal(path):
    return re.sub(r"seed_generator_\d+/", "seed_generator/", path)


def rounded(x):
    """Configs as JSON holds them, floats in single precision, generated tensor names aside."""
    if isinstance(x, float):
        return float(np.float32(x))
    if isinstance(x, dict):
        return {
            key: rounded(value)
            for key, value in x.items()
            if not (key == "name" and str(value).startswith("keras_tensor"))
        }
    if isinstance(x, (list, tuple)):
        return [rounded(value) for value in x]
    return x


@ALL
def test_structure_weights_and_predictions(make):
    ours, theirs = pair(make)
    assert ours.name == theirs.name
    assert layer_names(ours) == layer_names(theirs)
    if make not in OWN_INPUT_NAMES:
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [type(a).__name__ for a in ours.layers] == [type(b).__name__ for b in theirs.layers]
    assert ours.count_params() == theirs.count_params()
    for group in (
        "weights",
        "trainable_weights",
        "non_trainable_weights",
        "variables",
        "trainable_variables",
        "non_trainable_variables",
    ):
        a, b = getattr(ours, group), getattr(theirs, group)
        assert [normal(v.path) for v in a] == [normal(v.path) for v in b], group
        assert [v.name for v in a] == [v.name for v in b], group
        assert [v.trainable for v in a] == [v.trainable for v in b], group
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)
    assert ours.input_shape == theirs.input_shape
    assert ours.output_shape == theirs.output_shape
    x = ZOO[make]
    a, b = ours.predict(x, verbose=0), theirs.predict(x, verbose=0)
    assert type(a) is type(b)
    tolerance = 3e-2 if make is mixed else 1e-5
    for one, other in zip(as_list(a), as_list(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@ALL
def test_configs_are_equal_and_cross_over(make):
    ours, theirs = pair(make)
    mine, other = ours.to_json(), theirs.to_json()
    if make not in OWN_INPUT_NAMES + NO_MASK_OPERATIONS:
        assert rounded(ours.get_config()) == rounded(theirs.get_config())
        assert rounded(json.loads(mine)) == rounded(json.loads(other))
    from_ours = keras.models.model_from_json(mine)
    seed_both(9)
    from_theirs = torchkeras.models.model_from_json(other)
    seed_both(9)  # the two draw from one generator
    again = keras.models.model_from_json(other)
    for a, b in zip(from_theirs.variables, again.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)
    assert type(from_theirs) is type(ours)
    assert type(from_ours) is type(theirs)
    copy_weights(theirs, from_theirs)
    copy_weights(ours, from_ours)
    expected = theirs.predict(ZOO[make], verbose=0)
    tolerance = 3e-2 if make is mixed else 1e-5
    for model in (from_theirs, from_ours):
        actual = model.predict(ZOO[make], verbose=0)
        assert [normal(w.path) for w in model.weights] == [normal(w.path) for w in again.weights]
        for a, b in zip(as_list(actual), as_list(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@ALL
def test_clone_model(make):
    ours, theirs = pair(make)
    copies = []
    for library, model in ((torchkeras, ours), (keras, theirs)):
        clear()
        seed_both(5)
        copies.append(library.models.clone_model(model))
    mine, other = copies
    assert mine is not ours
    assert type(mine) is type(ours)
    assert layer_names(mine) == layer_names(other)
    if make is sequential_deferred:
        return  # Keras's clone of it is not built
    assert [normal(w.path) for w in mine.weights] == [normal(w.path) for w in other.weights]
    assert not {id(w) for w in mine.weights} & {id(w) for w in ours.weights}
    for a, b in zip(mine.weights, other.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)


def test_a_clone_is_compiled_as_its_model():
    for library in (torchkeras, keras):
        model = sequential(library)
        assert not library.models.clone_model(model).compiled
        model.compile(library.optimizers.SGD(0.25), "mse", metrics=["mae"])
        clone = library.models.clone_model(model)
        assert clone.compiled and clone.optimizer is not model.optimizer
        assert float(clone.optimizer.learning_rate) == 0.25
        assert [metric.name for metric in clone.metrics] == ["loss", "compile_metrics"]


# Operations in the graph -----------------------------------------------------------------------

GRAPHS = {
    "slices": lambda k, x: x[:, 1:3] * 2 - x[:, :1],
    "arithmetic": lambda k, x: 1 / (x**2 + 10) - (-x) // 2 + abs(x) % 2,
    "comparison": lambda k, x: k.ops.cast(x > 0, "float32"),
    "matmul": lambda k, x: x @ k.ops.transpose(x),
    "reductions": lambda k, x: k.ops.max(x, axis=1) + k.ops.mean(x, axis=-1),
    "shapes": lambda k, x: k.ops.expand_dims(k.ops.reshape(x, (-1, 2, 2)), 1),
    "joins": lambda k, x: k.ops.stack([x, k.ops.concatenate([x[:, 2:], x[:, :2]], axis=-1)], 1),
    "choice": lambda k, x: k.ops.where(x > 0, x, 0.0),
    "constant": lambda k, x: x * np.arange(4, dtype="float32"),
    "activations": lambda k, x: k.activations.silu(k.activations.gelu(x)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_operations_cross_over(name):
    def make(k):
        x = k.Input((4,))
        return k.Model(x, GRAPHS[name](k, x))

    ours, theirs = pair(make)
    assert [o.name for o in ours.operations] == [o.name for o in theirs.operations]
    assert ours.output_shape == theirs.output_shape
    expected = theirs.predict(X4, verbose=0)
    crossed = [
        torchkeras.models.model_from_json(theirs.to_json()),
        keras.models.model_from_json(ours.to_json()),
    ]
    for model in (ours, *crossed):
        actual = model.predict(X4, verbose=0)
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


# Classes of the user's ---------------------------------------------------------------------------


def custom_layer(k):
    class Scaled(k.layers.Layer):
        def __init__(self, units, activation=None, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.activation = k.activations.get(activation)
            self.inner = [k.layers.Dense(2), k.layers.Dense(2)]

        def build(self, input_shape):
            self.w = self.add_weight(
                shape=(input_shape[-1], self.units),
                initializer="he_normal",
                regularizer="l2",
                name="w",
            )
            self.offset = self.add_weight(shape=(), trainable=False, name="offset")
            for layer in self.inner:
                layer.build(input_shape)

        def call(self, x, training=None):
            y = self.activation(torch.matmul(x, self.w.value)) + self.offset
            return y + self.inner[0](x)[:, :1] * self.inner[1](x)[:, 1:]

        def get_config(self):
            activation = k.activations.serialize(self.activation)
            return {**super().get_config(), "units": self.units, "activation": activation}

    return Scaled


def test_custom_layers_in_a_graph():
    classes = {}

    def make(k):
        classes[k] = cls = custom_layer(k)
        x = k.Input((4,))
        return k.Model(x, cls(3, "relu")(cls(5)(x)))

    ours, theirs = pair(make)
    for group in ("variables", "trainable_variables", "non_trainable_variables"):
        a, b = getattr(ours, group), getattr(theirs, group)
        assert [v.path for v in a] == [v.path for v in b]
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)
    assert len(ours.losses) == len(theirs.losses) == 2
    assert rounded(ours.get_config()) == rounded(theirs.get_config())
    expected = theirs.predict(X4, verbose=0)
    np.testing.assert_allclose(ours.predict(X4, verbose=0), expected, rtol=1e-5, atol=1e-6)
    for library, source in ((torchkeras, theirs), (keras, ours)):
        model = library.models.model_from_json(
            source.to_json(), custom_objects={"Scaled": classes[library]}
        )
        copy_weights(theirs, model)
        np.testing.assert_allclose(model.predict(X4, verbose=0), expected, rtol=1e-5, atol=1e-6)


def subclass(k):
    class Net(k.Model):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = k.layers.Dense(units)
            self.rest = [k.layers.Dense(2), k.layers.BatchNormalization()]
            self.heads = {"b": k.layers.Dense(1), "a": [k.layers.Dense(4)]}
            self.gain = self.add_weight(shape=(2,), name="gain")
            self.seen = k.metrics.Mean(name="seen")

        def call(self, x, training=False):
            x = self.first(x)
            for layer in self.rest:
                x = layer(x)
            return self.heads["b"](x) * self.gain[0]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Net


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer")
def test_subclassed_models():
    def make(k):
        model = subclass(k)(units=5)
        model(torch.tensor(X4))
        return model

    ours, theirs = pair(make)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    for group in ("weights", "trainable_weights", "non_trainable_weights"):
        a, b = getattr(ours, group), getattr(theirs, group)
        assert [v.path for v in a] == [v.path for v in b]
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)
    assert [m.name for m in ours.metrics] == [m.name for m in theirs.metrics]
    assert ours.count_params() == theirs.count_params()
    a, b = ours.get_config(), theirs.get_config()
    assert a["units"] == b["units"] == 5 and a["trainable"] == b["trainable"]
    for library, config in ((torchkeras, b), (keras, a)):
        assert subclass(library).from_config(config).units == 5
    np.testing.assert_allclose(
        ours.predict(X4, verbose=0), theirs.predict(X4, verbose=0), rtol=1e-5, atol=1e-6
    )


def freezing_steps(model):
    """Freeze and thaw a nested model, noting what is trainable after each step."""
    states = []
    model.get_layer("block").trainable = False
    states.append([w.trainable for w in model.weights])
    model.layers[-1].trainable = False
    states.append([w.trainable for w in model.weights])
    states.append((len(model.trainable_weights), len(model.non_trainable_weights)))
    model.trainable = True
    states.append([w.trainable for w in model.weights])
    model.trainable = False
    states.append([layer.trainable for layer in model.layers])
    states.append(model.get_config()["trainable"])
    return states


def test_freezing():
    ours, theirs = pair(nested)
    assert freezing_steps(ours) == freezing_steps(theirs)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: functional(k).get_layer("nope"),
        lambda k: functional(k).get_layer(index=9),
        lambda k: functional(k).get_layer(),
        lambda k: functional(k).get_layer("dense", 0),
        lambda k: k.Sequential([3]),
        lambda k: k.Sequential([k.layers.Dense(1, name="a"), k.layers.Dense(1, name="a")]),
        lambda k: k.Sequential([k.Input((3,)), k.Input((3,))]),
        lambda k: k.Sequential().build((None, 3)),
        lambda k: k.Sequential([k.layers.Dense(2)]).output_shape,
        lambda k: k.Sequential([k.layers.Dense(2)]).count_params(),
        lambda k: k.Sequential().pop(),
        lambda k: k.Model([], []),
        lambda k: k.Model(k.Input((3,)), 3),
        lambda k: k.Model(k.Input((3,)), k.layers.add([k.Input((3,)), k.Input((3,))])),
        lambda k: functional(k)(X4[:, :3]),
        lambda k: functional(k)(X4[0]),
        lambda k: functional_two_inputs(k)([X4]),
        lambda k: functional_two_inputs(k)({"a": X4, "c": Z4}),
        lambda k: functional_dicts(k)([X4, Z4]),
        lambda k: functional(k).set_weights([]),
        lambda k: functional(k).set_weights([np.zeros((1, 1))] * 4),
        lambda k: k.models.clone_model(sequential(k), call_function=lambda f, *a: f(*a)),
        lambda k: functional(k).summary(layer_range=["a", "b"]),
    ],
)
def test_errors_have_the_same_type(action):
    assert_same_error(action)


@pytest.mark.parametrize("recorded", [True, False, None])
@pytest.mark.parametrize("masked", [False, True])
def test_training_of_a_recorded_call(recorded, masked, tmp_path):
    """It holds, as Keras's guides say. Keras lets the model's mode go before it, and notes the
    default of `Dropout` for calls that say nothing, also in files.
    """

    def drops(k, model):
        """Whether the dropout acts: in prediction, without a mode, and in either mode."""
        x = np.ones((1, 500, 1), "float32")
        calls = [model.predict(x, verbose=0), model(x)]
        calls += [model(x, training=training) for training in (False, True)]
        return [bool((k.ops.convert_to_numpy(y) == 0).any()) for y in calls]

    def make(k):
        x = k.Input((500, 1))
        y = k.layers.Masking()(x) if masked else x
        return k.Model(x, k.layers.Dropout(0.5)(y, training=recorded))

    path = str(tmp_path / "m.keras")
    theirs, ours = make(keras), make(torchkeras)
    as_in_keras = [False, recorded is True, False, True]
    assert drops(keras, theirs) == as_in_keras
    silent = [False, False, False, True]
    expected = silent if recorded is None else [recorded] * 4
    assert drops(torchkeras, ours) == expected
    theirs.save(path)
    loaded = torchkeras.saving.load_model(path)
    assert drops(torchkeras, loaded) == (expected if recorded else silent)
    ours.save(path)
    assert drops(torchkeras, torchkeras.saving.load_model(path)) == expected
    assert drops(keras, keras.saving.load_model(path)) == as_in_keras
    if recorded is None:
        loaded.train()  # PyTorch's way
        assert (loaded(torch.ones(1, 500, 1)) == 0).any()


def test_calls_in_configs():
    """What Keras adds to the arguments of a call, `mask=None` and defaults of `training`."""

    def calls(k):
        class Block(k.layers.Layer):
            def call(self, x, training=False, mask=None):
                return x

        L, x, tokens = k.layers, k.Input((3, 4)), k.Input((3,), dtype="int32")
        inner = k.Sequential([L.Dense(4)])
        layers = [L.BatchNormalization(), L.Dropout(0.5), L.LSTM(4, return_sequences=True), Block()]
        layers += [inner, k.Model(x, L.Dense(4)(x)), L.Dense(4), L.RandomContrast(0.1), L.Add()]
        outputs = [L.Embedding(5, 2)(tokens), L.MultiHeadAttention(1, 2)(x, x)]
        for layer in layers:
            for said in ({}, {"training": True}, {"training": None}):
                if isinstance(layer, L.Add):
                    outputs.append(layer([x, x]))
                elif not isinstance(layer, L.Dense) or not said:
                    outputs.append(layer(x, **said))
        config = k.Model([x, tokens], outputs).get_config()
        nodes = [node for layer in config["layers"] for node in layer["inbound_nodes"]]
        return [(len(node["args"]), node["kwargs"]) for node in nodes]

    assert calls(torchkeras) == calls(keras)
