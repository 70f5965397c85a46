"""The same script gives the same numbers: initial weights bit for bit, then twenty epochs.

A model is a function of the library. After `set_random_seed(1337)` both libraries draw the same
initial weights, with the same names in the same order; trained on the same batches by the same
optimizer, losses and metrics stay within 1e-4 of each other over twenty epochs.
"""

import inspect

import keras
import numpy as np
import pytest
import torch
from fitting import assert_same_history, both, clear
from oracle import assert_same_variables

import torchkeras

SEED = 1337


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


# Models -------------------------------------------------------------------------------------------


def mlp(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((6,)),
            L.Dense(8, activation="relu", kernel_regularizer="l2"),
            L.Dropout(0.5),
            L.Dense(8, activation="gelu", use_bias=False),
            L.PReLU(),
            L.Dense(3, activation="softmax", bias_initializer="random_normal"),
        ]
    )


def cnn(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((8, 8, 3)),
            L.RandomFlip(),
            L.Conv2D(4, 3, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(),
            L.SpatialDropout2D(0.2),
            L.Conv2D(6, (3, 1), strides=2, dilation_rate=1, groups=2),
            L.GlobalAveragePooling2D(),
            L.Dense(2),
        ]
    )


def depthwise(k):
    L = k.layers
    x = k.Input((8, 8, 3))
    h = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    h = L.SeparableConv2D(5, 3, activation="relu")(h)
    h = L.GroupNormalization(5)(h)
    return k.Model(x, L.Flatten()(h))


def other_dimensions(k):
    L = k.layers
    signal, volume = k.Input((12, 2)), k.Input((4, 4, 4, 2))
    a = L.Conv1D(4, 3, padding="causal")(signal)
    a = L.SeparableConv1D(3, 3)(L.DepthwiseConv1D(3)(a))
    b = L.Conv3D(3, 2)(volume)
    return k.Model([signal, volume], [L.GlobalMaxPooling1D()(a), L.Flatten()(b)])


def transposed(k):
    L = k.layers
    x = k.Input((4, 4, 3))
    h = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(x)
    h = L.UpSampling2D()(h)
    return k.Model(x, L.Conv2DTranspose(1, 3, use_bias=False)(h))


def simple_rnn(k):
    L = k.layers
    return k.Sequential(
        [k.Input((5, 3)), L.SimpleRNN(4, return_sequences=True), L.SimpleRNN(2), L.Dense(1)]
    )


def lstm(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((5, 3)),
            L.LSTM(4, return_sequences=True, recurrent_dropout=0.1),
            L.LSTM(3, unit_forget_bias=False, recurrent_initializer="glorot_normal"),
            L.Dense(1),
        ]
    )


def gru(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((5, 3)),
            L.GRU(4, return_sequences=True),
            L.GRU(3, reset_after=False, use_bias=False),
            L.Dense(1),
        ]
    )


def bidirectional(k):
    L = k.layers
    x = k.Input((5, 3))
    h = L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode="sum")(x)
    h = L.Bidirectional(L.GRU(2), backward_layer=L.GRU(2, go_backwards=True, name="back"))(h)
    return k.Model(x, h)


def stacked_cells(k):
    L = k.layers
    x = k.Input((5, 3))
    h = L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True)(x)
    return k.Model(x, L.TimeDistributed(L.Dense(2))(h))


def embeddings(k):
    L = k.layers
    words, tags = k.Input((7,), dtype="int32"), k.Input((7,), dtype="int32")
    a = L.Embedding(11, 4, mask_zero=True)(words)
    b = L.Embedding(5, 4, embeddings_initializer="glorot_uniform")(tags)
    return k.Model([words, tags], L.GlobalAveragePooling1D()(L.Add()([a, b])))


def transformer(k):
    L = k.layers

    def block(x):
        h = L.MultiHeadAttention(2, key_dim=4, dropout=0.1)(x, x, use_causal_mask=True)
        x = L.LayerNormalization()(L.Add()([x, h]))
        h = L.Dense(8)(L.Dense(16, activation="gelu")(x))
        return L.LayerNormalization(epsilon=1e-5)(L.Add()([x, h]))

    tokens = k.Input((6,), dtype="int32")
    x = L.Embedding(20, 8)(tokens)
    for _ in range(2):
        x = block(x)
    return k.Model(tokens, L.Dense(20)(x))


def attentions(k):
    L = k.layers
    q, v = k.Input((4, 6)), k.Input((5, 6))
    a = L.MultiHeadAttention(2, 3, value_dim=5, output_shape=6, use_bias=False)(q, v)
    b = L.Attention(use_scale=True)([q, v])
    c = L.AdditiveAttention()([q, v])
    return k.Model([q, v], L.EinsumDense("abc,cd->abd", (None, 2))(L.Concatenate()([a, b, c])))


def normalizations(k):
    L = k.layers
    x = k.Input((4, 6))
    h = x
    for layer in (
        L.BatchNormalization(gamma_initializer="random_uniform", scale=True),
        L.BatchNormalization(center=False, axis=1),
        L.LayerNormalization(axis=[1, 2], beta_initializer="random_normal"),
        L.GroupNormalization(3),
        L.UnitNormalization(),
    ):
        h = layer(h)
    return k.Model(x, h)


def nested(k):
    L = k.layers
    encoder = k.Sequential([k.Input((6,)), L.Dense(4), L.Dense(3)], name="encoder")
    a = k.Input((3,))
    head = k.Model(a, L.Dense(2, name="out")(L.Dense(5)(a)), name="head")
    x = k.Input((6,))
    return k.Model(x, L.Dense(1)(head(encoder(x))), name="whole")


def shared(k):
    L = k.layers
    left, right, twin = k.Input((6,)), k.Input((6,)), L.Dense(4, name="twin")
    h = L.Subtract()([twin(left), twin(right)])
    tower = k.Sequential([L.Dense(3), L.Dense(3)])
    return k.Model([left, right], L.Dense(1)(L.Multiply()([tower(h), tower(h)])))


def many_inputs_and_outputs(k):
    L = k.layers
    inputs = {
        "numbers": k.Input((6,), name="numbers"),
        "word": k.Input((), dtype="int32", name="word"),
    }
    a = L.Dense(4)(inputs["numbers"])
    h = L.Concatenate()([a, L.Embedding(9, 3)(inputs["word"])])
    return k.Model(inputs, {"kind": L.Dense(3, "softmax")(h), "value": L.Dense(1)(h), "h": h})


def residual(k):
    L = k.layers
    x = k.Input((8, 8, 3))
    h = L.Conv2D(4, 3, padding="same", kernel_initializer="he_normal")(x)
    for width in (4, 6):
        short = L.Conv2D(width, 1, use_bias=False)(h)
        h = L.Conv2D(width, 3, padding="same", use_bias=False)(h)
        h = L.Add()([L.BatchNormalization()(h), short])
    return k.Model(x, L.Dense(2)(L.Flatten()(h)))


def subclassed(k):
    class Scale(k.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="random_normal")
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            return x * self.scale

    class Custom(k.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [k.layers.Dense(4), Scale(), k.layers.Dense(4)]
            self.head = k.Sequential([k.layers.Dense(3), k.layers.Dense(1)])
            self.scale = Scale()

        def call(self, x):
            for block in self.blocks:
                x = x + block(x)
            return self.head(self.scale(x))

    model = Custom()
    model(torch.ones(2, 4))
    return model


def built_late(k):
    L = k.layers
    model = k.Sequential([L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(2)])
    model.build((None, 5))
    return model


def built_by_data(k):
    L = k.layers
    model = k.Sequential([L.LSTM(3, return_sequences=True), L.Flatten(), L.Dense(2)])
    model.predict(np.ones((2, 4, 3), "float32"), verbose=0)
    return model


def other_dtypes(k):
    L = k.layers
    x = k.Input((4,), dtype="float64")
    h = L.Dense(3, dtype="float64")(x)
    h = L.Dense(3, dtype="mixed_bfloat16")(h)
    return k.Model(x, L.Dense(2, dtype="float16")(h))


def seeds_of_its_own(k):
    L, start = k.layers, k.initializers
    first = L.Dense(4, kernel_initializer=start.RandomNormal(seed=3))
    second = L.Dense(4, kernel_initializer=start.GlorotUniform(seed=k.random.SeedGenerator(5)))
    return k.Sequential([k.Input((4,)), first, second, L.Dropout(0.1, seed=7), L.Dense(4)])


MODELS = [
    mlp,
    cnn,
    depthwise,
    other_dimensions,
    transposed,
    simple_rnn,
    lstm,
    gru,
    bidirectional,
    stacked_cells,
    embeddings,
    transformer,
    attentions,
    normalizations,
    nested,
    shared,
    many_inputs_and_outputs,
    residual,
    subclassed,
    built_late,
    built_by_data,
    other_dtypes,
    seeds_of_its_own,
]


# Initial weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_initial_weights(make):
    ours, theirs = both(make, SEED)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights] != []
    assert_same_variables(ours, theirs)


def test_models_made_one_after_the_other():
    """The second model's weights depend on how many numbers the first one drew."""

    def make(k):
        return mlp(k), transformer(k), cnn(k)

    for ours, theirs in zip(*both(make, SEED), strict=True):
        assert_same_variables(ours, theirs)


INITIALIZERS = {
    cls.__name__
    for cls in vars(keras.initializers).values()
    if inspect.isclass(cls) and issubclass(cls, keras.initializers.Initializer)
}
OPTIONS = {
    "Constant": {"value": 0.5},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"},
}


# The spectrum's is for kernels of complex numbers; test_initializers.py compares it.
@pytest.mark.parametrize("name", sorted(INITIALIZERS - {"Initializer", "STFT"}))
def test_every_initializer(name):
    def make(k):
        cls, options = getattr(k.initializers, name), OPTIONS.get(name, {})
        dense = [k.layers.Dense(5, kernel_initializer=cls(**options)) for _ in range(2)]
        if name == "Identity":  # makes matrices only
            return k.Sequential([k.Input((6,)), *dense])
        conv = k.layers.Conv2D(3, 2, kernel_initializer=cls(**options), bias_initializer="ones")
        return k.Sequential([k.Input((4, 4, 2)), conv, k.layers.Flatten(), *dense])

    assert_same_variables(*both(make, SEED))


# Training -----------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(48, 6)).astype("float32")
KINDS = (TABLE @ RNG.normal(size=(6, 3))).argmax(-1).astype("int32")
IMAGES = RNG.normal(size=(32, 6, 6, 2)).astype("float32")
SEQUENCES = RNG.normal(size=(32, 5, 3)).astype("float32")
VALUES = IMAGES[:, 2:4, 2:4].mean((1, 2, 3), keepdims=False)[:, None] + 0.5


def classifier(k):
    L = k.layers
    model = [k.Input((6,)), L.Dense(12, activation="tanh"), L.Dense(8, activation="relu")]
    return k.Sequential([*model, L.Dense(3, activation="softmax")])


def image_regression(k):
    L = k.layers
    layers = [L.Conv2D(4, 3, activation="tanh"), L.BatchNormalization(), L.Flatten(), L.Dense(1)]
    return k.Sequential([k.Input((6, 6, 2)), *layers])


def sequence_regression(k):
    return k.Sequential([k.Input((5, 3)), k.layers.GRU(6), k.layers.Dense(1)])


TASKS = {
    "classification": (classifier, TABLE, KINDS, "sparse_categorical_crossentropy", "accuracy"),
    "images": (image_regression, IMAGES, VALUES, "mse", "mae"),
    "sequences": (sequence_regression, SEQUENCES, VALUES, "mse", "mae"),
}
OPTIMIZERS = {
    "SGD": lambda o: o.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": lambda o: o.RMSprop(0.002),
    "Adam": lambda o: o.Adam(0.005),
    "AdamW": lambda o: o.AdamW(0.005, weight_decay=0.02),
    "Adadelta": lambda o: o.Adadelta(1.0),
    "Adafactor": lambda o: o.Adafactor(0.01),
    "Adagrad": lambda o: o.Adagrad(0.05),
    "Adamax": lambda o: o.Adamax(0.01),
    "Ftrl": lambda o: o.Ftrl(0.1, l2_regularization_strength=0.001),
    "Lamb": lambda o: o.Lamb(0.01),
    "Lion": lambda o: o.Lion(0.001),
    "LossScaleOptimizer": lambda o: o.LossScaleOptimizer(o.Adam(0.005), dynamic_growth_steps=20),
    "MultiOptimizer": lambda o: o.MultiOptimizer(
        o.OptimizerMap(o.Adam(0.005), {".*bias": o.SGD(0.05)})
    ),
    "Muon": lambda o: o.Muon(0.01),
    "Nadam": lambda o: o.Nadam(0.005),
    "ScheduleFreeAdamW": lambda o: o.ScheduleFreeAdamW(0.01, warmup_steps=10),
}
# Sequences are trained by a few, for the recurrent kernels; the other tasks by all.
PAIRS = [(t, o) for t in ("classification", "images") for o in OPTIMIZERS]
PAIRS += [("sequences", o) for o in ("SGD", "Adam", "RMSprop", "Muon")]


@pytest.mark.parametrize(("task", "optimizer"), PAIRS)
def test_twenty_epochs(task, optimizer):
    make, x, y, loss, metric = TASKS[task]

    def train(k):
        model = make(k)
        model.compile(OPTIMIZERS[optimizer](k.optimizers), loss, metrics=[metric])
        return model.fit(
            x, y, batch_size=16, epochs=20, shuffle=False, validation_split=0.25, verbose=0
        )

    ours, theirs = both(train, SEED)
    assert_same_history(ours, theirs, rtol=1e-4, atol=1e-4)
    losses = ours.history["loss"]
    assert len(losses) == 20 and losses[-1] < losses[0]


def test_no_optimizer_is_left_out():
    classes = {n for n, cls in vars(keras.optimizers).items() if inspect.isclass(cls)}
    assert classes - set(OPTIMIZERS) == {"Optimizer", "OptimizerMap"}
    assert classes <= set(torchkeras.optimizers.__all__)
