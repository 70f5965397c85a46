"""The fast path of calls, and how much Python calls cost: counted, not timed.

A layer's first call is the full one; those after it must give the same for less.
"""

import warnings

import numpy as np
import pytest
import torch

import torchkeras as keras
from tests.calls import count_calls
from torchkeras import layers

X, SERIES = torch.randn(4, 8), torch.randn(4, 6, 8)
MASK = torch.arange(6) < torch.tensor([[6], [3], [1], [2]])
TOKENS = torch.tensor([[3, 1, 0], [2, 0, 0]])


def with_mask(x, mask=MASK):
    x = x.clone()
    x._keras_mask = mask
    return x


class Inner(keras.Layer):
    """Returns whether it trains, so far as the call around it said."""

    def call(self, x, training=None):
        return x + (1.0 if training else 0.0)


class Outer(keras.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Inner()

    def call(self, x):
        return self.inner(x)


class Marks(keras.Layer):
    """Makes a mask of its own, and hands none on."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x, mask=None):
        return x * 2.0 if mask is None else x * mask[..., None]

    def compute_mask(self, inputs, previous_mask):
        new = inputs[..., 0] > 0
        return new if previous_mask is None else new & previous_mask


def attention():
    return layers.MultiHeadAttention(2, 4)


# Layer, arguments, keywords, and the Python calls that the second call may take.
CALLS = {
    "dense": (lambda: layers.Dense(3), (X,), {}, 8),
    "dropout": (lambda: layers.Dropout(0.3), (X,), {"training": False}, 10),
    "batch norm": (lambda: layers.BatchNormalization(), (X,), {"training": False}, 15),
    "attention": (attention, (SERIES, SERIES), {"training": False}, 50),
    "causal": (attention, (SERIES, SERIES), {"use_causal_mask": True}, 50),
    "masked attention": (attention, (with_mask(SERIES), with_mask(SERIES)), {}, 150),
    "lstm": (lambda: layers.LSTM(3), (SERIES,), {}, 45),
    "lstm, state": (lambda: layers.LSTM(3), (SERIES,), {"initial_state": [X[:, :3]] * 2}, 80),
    "lstm, mask": (lambda: layers.LSTM(3, return_sequences=True), (SERIES,), {"mask": MASK}, 80),
    "lstm, masked": (lambda: layers.LSTM(3, return_sequences=True), (with_mask(SERIES),), {}, 80),
    "embedding": (lambda: layers.Embedding(9, 3, mask_zero=True), (TOKENS,), {}, 45),
    "masking": (lambda: layers.Masking(), (SERIES,), {}, 45),
    "dense, masked": (lambda: layers.Dense(3), (with_mask(SERIES),), {}, 40),
    "add, masked": (lambda: layers.Add(), ([with_mask(SERIES), with_mask(SERIES)],), {}, 55),
    "user's": (Marks, (SERIES,), {}, 45),
    "user's, masked": (Marks, (with_mask(SERIES),), {}, 45),
}


def parts(outputs):
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [(x, getattr(x, "_keras_mask", None)) for x in outputs]


@pytest.mark.parametrize("name", CALLS)
def test_the_second_call_gives_the_same_for_less(name, monkeypatch):
    make, args, kwargs, most = CALLS[name]
    layer = make()
    first = parts(layer(*args, **kwargs))
    monkeypatch.setattr(type(layer), "_full_call", None)
    torch.testing.assert_close(parts(layer(*args, **kwargs)), first)
    assert count_calls(lambda: layer(*args, **kwargs)) <= most


@pytest.mark.parametrize("layer", [Inner(), Outer()], ids=["takes it", "hands it on"])
def test_training_of_a_call(layer):
    layer(X)
    for training in (True, False, True, None):
        expected = X + (1.0 if training else 0.0)
        torch.testing.assert_close(layer(X, training=training), expected)
    torch.testing.assert_close(layer(X), X)  # it is over


def test_training_is_restored_after_an_error():
    class Fails(keras.Layer):
        def call(self, x, fail=False, training=None):
            if fail:
                raise KeyError("here")
            return x

    fails, outer = Fails(), Outer()
    fails(X), outer(X)
    with pytest.raises(KeyError, match="here"):
        fails(X, fail=True, training=True)
    torch.testing.assert_close(outer(X), X)


def test_a_subclassed_model_with_training(monkeypatch):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.dropout = layers.Dense(3), layers.Dropout(0.5, seed=1)

        def call(self, x, training=None):
            return self.dropout(self.dense(x), training=training)

    net = Net()
    net(X, training=True)
    monkeypatch.setattr(keras.Layer, "_full_call", None)
    assert (net(X, training=True) == 0).any() and not (net(X, training=False) == 0).any()
    assert count_calls(lambda: net(X, training=True)) < 60


def test_layers_inside_of_mixed_precision_ones(monkeypatch):
    class Net(keras.Model):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")
            self.inner = layers.Dense(3, dtype="mixed_bfloat16")
            self.outer = layers.Dense(2, dtype="float32")

        def call(self, x):
            return self.outer(self.inner(x))

    net = Net()
    first = net(X)
    monkeypatch.setattr(keras.Layer, "_full_call", None)
    assert torch.equal(net(X), first) and first.dtype is torch.float32
    assert net.inner(X).dtype is torch.bfloat16 and net.outer.kernel.dtype is torch.float32


def test_what_is_wrong_is_explained_on_either_path():
    dense, relu, dropout = layers.Dense(3), layers.ReLU(), layers.Dropout(0.5)
    for _ in range(2):
        with pytest.raises(TypeError, match="cannot be called like this.*units"):
            relu(X, units=3)
        relu(X), dense(X), dropout(X)
        with pytest.raises(ValueError, match="expected axis -1"):
            dense(X[:, :5], training=True)
        with pytest.raises(ValueError, match="Only input tensors may be passed as positional"):
            dropout(X, True)
        with pytest.warns(UserWarning, match="does not support masking"):
            layer = layers.Flatten()
            layer(SERIES), layer(with_mask(SERIES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(SERIES, mask=None)


def test_masks_of_several_inputs():
    class Pick(keras.Layer):
        def call(self, a, b, a_mask=None, b_mask=None):
            return a * a_mask[..., None] + b * b_mask[..., None]

    pick = Pick()
    for _ in range(2):
        with pytest.warns(UserWarning, match="does not support masking"):
            result = pick(with_mask(SERIES), with_mask(SERIES, ~MASK))
        torch.testing.assert_close(result, SERIES)


# Loops in Python ---------------------------------------------------------------------------------


def masked_calls(layer, steps):
    x = torch.randn(5, steps, 3)
    mask = torch.arange(steps) < torch.tensor([1, 2, 3, 3, steps])[:, None]

    def work():
        layer(x, mask=mask).sum().backward()

    work()
    return count_calls(work)


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_no_python_per_step(name, options):
    cls = getattr(layers, name)
    made = [cls(4, **options)]
    if "go_backwards" not in options:
        made.append(layers.Bidirectional(cls(4, **options)))
    for layer in made:
        assert masked_calls(layer, 4) == masked_calls(layer, 60)


VARYING = ("AugMix", "RandAugment")  # they draw which layers to call
IMAGE_LAYERS = {
    "AutoContrast": {},
    "AugMix": {},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 2)},
    "CutMix": {},
    "Equalization": {},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.3},
    "RandomColorJitter": {"brightness_factor": 0.3, "hue_factor": 0.3},
    "RandomCrop": {"height": 4, "width": 5},
    "RandomElasticTransform": {},
    "RandomErasing": {},
    "RandomFlip": {},
    "RandomGaussianBlur": {},
    "RandomGrayscale": {},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.3},
    "RandomSharpness": {"factor": 0.3},
    "RandomShear": {"x_factor": 0.3},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "Solarization": {},
}


@pytest.mark.parametrize("name", IMAGE_LAYERS)
def test_no_python_per_image(name):
    layer = getattr(layers, name)(**IMAGE_LAYERS[name])

    def calls(batch):
        images = torch.rand(batch, 8, 9, 3)
        return count_calls(lambda: layer(images, training=True))

    calls(2)
    if name in VARYING:
        assert calls(200) < 3000
    else:
        assert calls(2) == calls(40)


def test_vocabularies_adapt_without_python_per_word():
    """So a million words take seconds, of which most is the counting itself."""
    numbers = np.random.default_rng(0).permutation(30_000)
    words = np.array([f"w{i}" for i in numbers])
    for layer, data in (
        (layers.StringLookup(), words),
        (layers.IntegerLookup(), numbers),
        (layers.TextVectorization(output_mode="int"), [" ".join(words)] * 2),
    ):
        assert count_calls(lambda layer=layer, data=data: layer.adapt(data)) < 3000
        assert layer.vocabulary_size() >= 30_000
