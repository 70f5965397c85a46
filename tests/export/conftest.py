"""Whole architectures, small ones, that every way of exporting must carry over."""

import numpy as np
import pytest
import torch

from torchkeras import Input, Model, Sequential, applications, layers, ops

L = layers


def mobilenet_v2():
    return applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=5)


def resnet():
    return applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=5)


def densenet():
    return applications.DenseNet121(weights=None, input_shape=(32, 32, 3), classes=5)


def efficientnet():
    return applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=5)


def unet():
    def double(x, filters):
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = L.Activation("relu")(L.BatchNormalization()(x))
        return x

    x = inputs = Input((16, 16, 3))
    skips = []
    for filters in (4, 8):
        x = double(x, filters)
        skips.append(x)
        x = L.MaxPooling2D()(x)
    x = double(x, 16)
    for filters, skip in ((8, skips[1]), (4, skips[0])):
        x = L.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        x = double(L.Concatenate()([x, skip]), filters)
    return Model(inputs, L.Conv2D(2, 1, activation="softmax")(x), name="unet")


def vae():
    x = inputs = Input((8, 8, 1))
    x = L.Conv2D(4, 3, 2, padding="same", activation="relu")(x)
    x = L.Flatten()(x)
    mean, log_var = L.Dense(2)(x), L.Dense(2)(x)
    encoder = Model(inputs, [mean, log_var], name="encoder")
    decoder = Sequential(
        [
            Input((2,)),
            L.Dense(64, activation="relu"),
            L.Reshape((4, 4, 4)),
            L.Conv2DTranspose(1, 3, 2, padding="same", activation="sigmoid"),
        ],
        name="decoder",
    )
    mean, log_var = encoder(inputs)
    spread = ops.exp(0.5 * log_var)
    return Model(inputs, {"image": decoder(mean), "mean": mean, "spread": spread}, name="vae")


def siamese():
    tower = Sequential(
        [Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3)], name="tower"
    )
    left, right = Input((8, 8, 1), name="left"), Input((8, 8, 1), name="right")
    a, b = tower(left), tower(right)
    distance = ops.sqrt(ops.sum(ops.square(a - b), axis=1, keepdims=True) + 1e-6)
    return Model([left, right], L.Dense(1, activation="sigmoid")(distance), name="siamese")


def lstm_classifier():
    stack = [Input((7,), dtype="int32"), L.Embedding(9, 4, mask_zero=True)]
    stack += [L.Bidirectional(L.LSTM(3, return_sequences=True)), L.LSTM(5), L.Dropout(0.5)]
    return Sequential([*stack, L.Dense(2, activation="softmax")], name="lstm_classifier")


def transformer():
    tokens = Input((6,), dtype="int32", name="tokens")
    positions = ops.cumsum(ops.ones_like(tokens), axis=1) - 1
    x = L.Embedding(9, 8)(tokens) + L.Embedding(6, 8)(positions)
    for _ in range(2):
        y = L.LayerNormalization(epsilon=1e-6)(x)
        x = x + L.MultiHeadAttention(2, 4, dropout=0.1)(y, y, use_causal_mask=True)
        y = L.Dense(16, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(x))
        x = x + L.Dense(8)(y)
    return Model(tokens, L.Dense(9)(x), name="transformer")


def wide_and_deep():
    sizes = {"numbers": Input((4,), name="numbers"), "kind": Input((), dtype="int32", name="kind")}
    norm = L.Normalization(mean=[0.0, 1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0, 4.0])
    deep = L.Concatenate()([norm(sizes["numbers"]), L.Embedding(3, 2)(sizes["kind"])])
    deep = L.Dense(8, activation="swish")(deep)
    wide = L.Dense(1)(sizes["numbers"])
    return Model(sizes, L.Add()([wide, L.Dense(1)(deep)]), name="wide_and_deep")


ARCHITECTURES = {
    make.__name__: make
    for make in (
        mobilenet_v2,
        resnet,
        densenet,
        efficientnet,
        unet,
        vae,
        siamese,
        lstm_classifier,
        transformer,
        wide_and_deep,
    )
}


def pytest_generate_tests(metafunc):
    some = metafunc.definition.get_closest_marker("architectures")
    if "architecture" in metafunc.fixturenames:
        names = (some.args if some else ()) or list(ARCHITECTURES)
        metafunc.parametrize("architecture", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def architecture(request):
    """A model with random weights and moving averages."""
    torch.manual_seed(0)
    model = ARCHITECTURES[request.param]()
    for weight in model.weights:
        if weight.is_floating_point() and "moving" in weight.path:
            weight.assign(weight + 0.5 * torch.rand_like(weight))
    return model


@pytest.fixture
def inputs(architecture):
    """Random data for its inputs, flat."""
    rng = np.random.default_rng(0)
    flat = []
    for x in architecture.inputs:
        shape = (3, *x.shape[1:])
        whole = x.dtype.startswith("int")
        values = rng.integers(0, 3, shape) if whole else rng.standard_normal(shape)
        flat.append(torch.from_numpy(values.astype(x.dtype)))
    return flat


@pytest.fixture
def call(architecture):
    """A function that calls the model on flat inputs, in inference."""

    def run(flat):
        struct = architecture.input
        if isinstance(struct, dict):
            keys = {id(x): key for key, x in struct.items()}
            data = {keys[id(x)]: v for x, v in zip(architecture.inputs, flat, strict=True)}
        else:
            data = flat if len(flat) > 1 else flat[0]
        with torch.no_grad():
            return architecture(data, training=False)

    return run
