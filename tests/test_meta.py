"""The meta test: whole steps of training run on tensors without data.

A `meta` tensor has a shape and no values. Code that reads a value (`.item()`, `.numpy()`,
`bool(t)`, `t[mask]`) raises there, and on a GPU it would make Python wait for the device. Steps run
outside of any device scope, so a tensor made without a device is on the CPU and is noticed when it
meets the others. `NoHostTraffic` notices what `meta` alone forgives: copies from the CPU.

Every layer, loss, metric and optimizer that is registered has a line in a table here; one that is
added to the library without a line fails `test_the_tables_are_complete`.
"""

import functools
import inspect

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import torchkeras as keras
from torchkeras import layers, losses, metrics, optimizers, registry

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])

BATCH, TIME, WIDTH, CLASSES = 8, 6, 4, 3


class NoHostTraffic(TorchDispatchMode):
    """Raises where an operation reads values in the host's memory on behalf of the device."""

    def __enter__(self):
        self._constructors = _NoTensorsFromNumbers()
        self._constructors.__enter__()
        return super().__enter__()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._constructors.__exit__(*exception)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        inputs = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        results = [t for t in tree_flatten(out)[0] if isinstance(t, torch.Tensor)]
        on_device = any(t.device.type == "meta" for t in (*inputs, *results))
        on_host = [t for t in inputs if t.device.type == "cpu"]
        copies = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
        if on_device and on_host and (copies or any(t.dim() for t in on_host)):
            shapes = [tuple(t.shape) for t in on_host]
            raise AssertionError(f"{func} uses CPU tensors of shapes {shapes} on the device")
        return out


class _NoTensorsFromNumbers(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor) and out is not args[0] and out.is_meta:
            raise AssertionError(f"{func.__name__}({args[0]}) copies from the host to the device")
        return out


class Scale(keras.Layer):
    """Multiplies by a weight, so that gradients must pass through what comes after it."""

    def build(self, input_shape):
        self.factor = self.add_weight((), "ones")

    def call(self, x):
        return x * self.factor


class Unmask(keras.Layer):
    """Takes the mask off what passes."""

    _creates_mask = False

    def call(self, x, mask=None):
        return x if mask is None else x * mask.any()

    def compute_mask(self, inputs, previous_mask):
        return None


class Chain(keras.Model):
    """Calls layers one after the other in Python, as users' models do."""

    def __init__(self, chain):
        super().__init__()
        self.chain = chain

    def call(self, x):
        for layer in self.chain:
            x = layer(x)
        return x


def meta(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype, device="meta")


def run_steps(model, data, count=1):
    """Train, test and predict on a batch; the first step may still build things."""
    (x, *_) = data
    with torch.device("meta"):
        train, test = model.make_train_function(), model.make_test_function()
        predict = model.make_predict_function()
        model.train()
        train([data])
    with NoHostTraffic():
        for _ in range(count):
            logs = dict(train([data]))
        model.eval()
        val_logs = dict(test([data]))
        outputs = predict([(x,)])
    assert {value.device.type for value in (*logs.values(), *val_logs.values())} == {"meta"}
    assert {t.device.type for t in keras.tree.flatten(outputs)} == {"meta"}
    assert {w.device.type for w in model.weights} == {"meta"}
    assert updates(model) in (None, count + 1)
    return logs


def updates(model):
    """How many updates the optimizer made; `None` where it counts otherwise, or on the device."""
    optimizer = model.optimizer
    if not isinstance(optimizer, optimizers.Optimizer) or optimizer.gradient_accumulation_steps:
        return None
    if isinstance(optimizer, optimizers.LossScaleOptimizer):
        return None
    return int(optimizer.iterations)


@pytest.fixture(autouse=True)
def policy(request):
    """Set the dtype policy that a test is parametrized with."""
    params = getattr(request.node, "callspec", None)
    keras.config.set_dtype_policy(params.params.get("dtype", "float32") if params else "float32")
    yield
    keras.config.set_dtype_policy("float32")


# Layers ------------------------------------------------------------------------------------------

VECTOR, SERIES, IMAGE, VOLUME = (WIDTH,), (TIME, WIDTH), (8, 8, 2), (4, 4, 4, 2)
SERIES_1D = (8, 2)


def masked(layer):
    """Put a layer behind `Masking`."""
    return [layers.Masking(), layer]


def adapted():
    """A `Normalization` layer that has its statistics."""
    return layers.Normalization(mean=0.5, variance=2.0)


# Class name -> pairs of a function that makes the layer (or a list of layers) and input shapes.
LAYERS = {
    "Activation": [(lambda: layers.Activation("gelu"), VECTOR)],
    "ActivityRegularization": [(lambda: layers.ActivityRegularization(0.1, 0.2), VECTOR)],
    "AdaptiveAveragePooling1D": [(lambda: layers.AdaptiveAveragePooling1D(3), SERIES_1D)],
    "AdaptiveAveragePooling2D": [(lambda: layers.AdaptiveAveragePooling2D((3, 2)), IMAGE)],
    "AdaptiveAveragePooling3D": [(lambda: layers.AdaptiveAveragePooling3D(3), VOLUME)],
    "AdaptiveMaxPooling1D": [(lambda: layers.AdaptiveMaxPooling1D(3), SERIES_1D)],
    "AdaptiveMaxPooling2D": [(lambda: layers.AdaptiveMaxPooling2D((3, 2)), IMAGE)],
    "AdaptiveMaxPooling3D": [(lambda: layers.AdaptiveMaxPooling3D(3), VOLUME)],
    "Add": [(lambda: layers.Add(), [VECTOR, VECTOR])],
    "AdditiveAttention": [
        (lambda: layers.AdditiveAttention(dropout=0.1), [SERIES, SERIES]),
        (lambda: masked(SelfAttention(layers.AdditiveAttention())), SERIES),
    ],
    "AlphaDropout": [(lambda: layers.AlphaDropout(0.3), VECTOR)],
    "Attention": [
        (lambda: layers.Attention(use_scale=True, dropout=0.1), [SERIES, SERIES]),
        (lambda: layers.Attention(score_mode="concat", seed=1, dropout=0.1), [SERIES, SERIES]),
        (lambda: SelfAttention(layers.Attention(), return_attention_scores=True), SERIES),
        (lambda: masked(SelfAttention(layers.Attention(), use_causal_mask=True)), SERIES),
    ],
    "Average": [(lambda: layers.Average(), [VECTOR, VECTOR])],
    "AveragePooling1D": [(lambda: layers.AveragePooling1D(2, padding="same"), SERIES_1D)],
    "AveragePooling2D": [(lambda: layers.AveragePooling2D(3, padding="same"), IMAGE)],
    "AveragePooling3D": [(lambda: layers.AveragePooling3D(2), VOLUME)],
    "BatchNormalization": [
        (lambda: layers.BatchNormalization(), VECTOR),
        (lambda: layers.BatchNormalization(), IMAGE),
        (lambda: layers.BatchNormalization(axis=1, scale=False), IMAGE),
        (lambda: layers.BatchNormalization(renorm=True), VECTOR),
        (lambda: masked(layers.BatchNormalization()), SERIES),
    ],
    "Bidirectional": [
        (lambda: layers.Bidirectional(layers.LSTM(3)), SERIES),
        (lambda: masked(layers.Bidirectional(layers.GRU(3, return_sequences=True))), SERIES),
    ],
    "CategoryEncoding": [
        (lambda mode=mode: layers.CategoryEncoding(10, mode), "tokens")
        for mode in ("one_hot", "multi_hot", "count")
    ],
    "Concatenate": [(lambda: layers.Concatenate(), [VECTOR, VECTOR])],
    "Conv1D": [
        (lambda: layers.Conv1D(3, 2, padding="causal", activation="relu"), SERIES_1D),
        (lambda: layers.Conv1D(3, 2, data_format="channels_first"), SERIES_1D),
    ],
    "Conv2D": [
        (lambda: layers.Conv2D(3, 3, padding="same", activation="relu"), IMAGE),
        (lambda: layers.Conv2D(4, 3, strides=2, groups=2), IMAGE),
        (lambda: layers.Conv2D(3, (2, 3), padding="same", strides=2), IMAGE),
        (lambda: layers.Conv2D(3, 3, lora_rank=2), IMAGE),
    ],
    "Conv1DTranspose": [
        (lambda: layers.Conv1DTranspose(3, 3, strides=2, padding="same"), SERIES_1D),
    ],
    "Conv2DTranspose": [
        (lambda: layers.Conv2DTranspose(3, 3, strides=2, activation="relu"), IMAGE),
        (lambda: layers.Conv2DTranspose(3, 4, strides=2, padding="same"), IMAGE),
    ],
    "Conv3D": [(lambda: layers.Conv3D(3, 2), VOLUME)],
    "Conv3DTranspose": [(lambda: layers.Conv3DTranspose(3, 2), VOLUME)],
    "ConvLSTM1D": [(lambda: layers.ConvLSTM1D(3, 2, return_sequences=True), (TIME, *SERIES_1D))],
    "ConvLSTM2D": [
        (lambda: layers.ConvLSTM2D(3, 2, padding="same"), (TIME, *IMAGE)),
        (lambda: layers.ConvLSTM2D(3, 2, dropout=0.2, recurrent_dropout=0.2), (TIME, *IMAGE)),
    ],
    "ConvLSTM3D": [(lambda: layers.ConvLSTM3D(3, 2), (TIME, *VOLUME))],
    "Cropping1D": [(lambda: layers.Cropping1D(1), SERIES_1D)],
    "Cropping2D": [(lambda: layers.Cropping2D(1), IMAGE)],
    "Cropping3D": [(lambda: layers.Cropping3D(1), VOLUME)],
    "Dense": [
        (lambda: layers.Dense(3, activation="relu"), VECTOR),
        (lambda: layers.Dense(3, use_bias=False), SERIES),
        (lambda: layers.Dense(3, lora_rank=2), SERIES),
        (
            lambda: layers.Dense(
                3,
                kernel_regularizer="l1_l2",
                bias_regularizer="l2",
                activity_regularizer="l1",
                kernel_constraint="max_norm",
                bias_constraint="non_neg",
            ),
            VECTOR,
        ),
    ],
    "DepthwiseConv1D": [(lambda: layers.DepthwiseConv1D(2, padding="same"), SERIES_1D)],
    "DepthwiseConv2D": [
        (lambda: layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2), IMAGE),
        (lambda: layers.DepthwiseConv2D((2, 3), padding="same", activation="relu"), IMAGE),
    ],
    "Discretization": [
        (lambda: Binned([0.0, 0.5]), VECTOR),
        (lambda: Binned([0.0, 0.5], output_mode="count"), VECTOR),
    ],
    "Dot": [(lambda: layers.Dot(1, normalize=True), [VECTOR, VECTOR])],
    "Dropout": [
        (lambda: layers.Dropout(0.3), VECTOR),
        (lambda: layers.Dropout(0.3, seed=1, noise_shape=(None, 1, None)), SERIES),
    ],
    "ELU": [(lambda: layers.ELU(), VECTOR)],
    "EinsumDense": [
        (lambda: layers.EinsumDense("btd,de->bte", (TIME, 3), bias_axes="e"), SERIES),
        (lambda: layers.EinsumDense("btd,de->bte", (TIME, 3), lora_rank=2), SERIES),
    ],
    "Embedding": [
        (lambda: layers.Embedding(10, 3), "tokens"),
        (lambda: layers.Embedding(10, 3, lora_rank=2), "tokens"),
        (lambda: [layers.Embedding(10, 3, mask_zero=True), layers.LSTM(2)], "tokens"),
        (
            lambda: [layers.Embedding(10, 3, mask_zero=True), layers.GlobalAveragePooling1D()],
            "tokens",
        ),
    ],
    "Flatten": [(lambda: layers.Flatten(), IMAGE)],
    "GRU": [
        (lambda: layers.GRU(3), SERIES),
        (lambda: layers.GRU(3, reset_after=False, return_sequences=True), SERIES),
        (lambda: masked(layers.GRU(3, dropout=0.2, recurrent_dropout=0.2)), SERIES),
    ],
    "GRUCell": [(lambda: layers.RNN(layers.GRUCell(3)), SERIES)],
    "GaussianDropout": [(lambda: layers.GaussianDropout(0.3), VECTOR)],
    "GaussianNoise": [(lambda: layers.GaussianNoise(0.3, seed=3), VECTOR)],
    "GlobalAveragePooling1D": [
        (lambda: layers.GlobalAveragePooling1D(), SERIES),
        (lambda: masked(layers.GlobalAveragePooling1D()), SERIES),
    ],
    "GlobalAveragePooling2D": [(lambda: layers.GlobalAveragePooling2D(), IMAGE)],
    "GlobalAveragePooling3D": [(lambda: layers.GlobalAveragePooling3D(), VOLUME)],
    "GlobalMaxPooling1D": [(lambda: layers.GlobalMaxPooling1D(), SERIES)],
    "GlobalMaxPooling2D": [(lambda: layers.GlobalMaxPooling2D(), IMAGE)],
    "GlobalMaxPooling3D": [(lambda: layers.GlobalMaxPooling3D(), VOLUME)],
    "GroupNormalization": [
        (lambda: layers.GroupNormalization(2), IMAGE),
        (lambda: layers.GroupNormalization(-1, axis=1, scale=False), IMAGE),
        (lambda: masked(layers.GroupNormalization(2)), SERIES),
    ],
    "GroupQueryAttention": [
        (lambda: SelfAttention(group_attention()), SERIES),
        (lambda: SelfAttention(group_attention(), use_causal_mask=True), SERIES),
        (lambda: SelfAttention(group_attention(), return_attention_scores=True), SERIES),
        (lambda: masked(SelfAttention(group_attention(use_gate=True))), SERIES),
    ],
    "HashedCrossing": [
        (lambda: Crossed(5), "tokens"),
        (lambda: Crossed(5, output_mode="one_hot"), "tokens"),
    ],
    "Hashing": [
        (lambda: layers.Hashing(5, mask_value=3), "tokens"),
        (lambda: layers.Hashing(5, salt=7, output_mode="count"), "tokens"),
    ],
    "Identity": [(lambda: layers.Identity(), VECTOR)],
    "IntegerLookup": [
        (lambda: layers.IntegerLookup(vocabulary=[3, 7], mask_token=0), "tokens"),
        (lambda: layers.IntegerLookup(vocabulary=[3, 7], num_oov_indices=0), "tokens"),
        (lambda: layers.IntegerLookup(vocabulary=[3, 7], invert=True), "tokens"),
        (lambda: layers.IntegerLookup(vocabulary=[3, 7], num_oov_indices=2), "tokens"),
        (
            lambda: layers.IntegerLookup(
                vocabulary=[3, 7],
                num_oov_indices=2,
                oov_method="farmhash",
                output_mode="tf_idf",
                idf_weights=[0.5, 2.0],
            ),
            "tokens",
        ),
    ],
    "LSTM": [
        (lambda: layers.LSTM(3), SERIES),
        (lambda: [layers.LSTM(3, return_sequences=True), layers.LSTM(2)], SERIES),
        (lambda: layers.LSTM(3, activation="relu", go_backwards=True), SERIES),
        (lambda: layers.LSTM(3, dropout=0.2), SERIES),
        (lambda: masked(layers.LSTM(3)), SERIES),
        (lambda: masked(layers.LSTM(3, return_sequences=True, zero_output_for_mask=True)), SERIES),
    ],
    "LSTMCell": [(lambda: layers.RNN(layers.LSTMCell(3)), SERIES)],
    "Lambda": [(lambda: layers.Lambda(lambda x: 2 * x), VECTOR)],
    "LayerNormalization": [
        (lambda: layers.LayerNormalization(), SERIES),
        (lambda: layers.LayerNormalization(axis=[1, 2]), SERIES),
    ],
    "LeakyReLU": [(lambda: layers.LeakyReLU(), VECTOR)],
    "Masking": [(lambda: layers.Masking(), SERIES)],
    "MaxPooling1D": [(lambda: layers.MaxPooling1D(), SERIES_1D)],
    "MaxPooling2D": [(lambda: layers.MaxPooling2D(3, padding="same"), IMAGE)],
    "MaxPooling3D": [(lambda: layers.MaxPooling3D(), VOLUME)],
    "Maximum": [(lambda: layers.Maximum(), [VECTOR, VECTOR])],
    "MelSpectrogram": [
        (lambda: layers.MelSpectrogram(16, 8, num_mel_bins=3, sampling_rate=99), (60,))
    ],
    "Minimum": [(lambda: layers.Minimum(), [VECTOR, VECTOR])],
    "MultiHeadAttention": [
        (lambda: SelfAttention(), SERIES),
        (lambda: SelfAttention(use_causal_mask=True), SERIES),
        (lambda: SelfAttention(return_attention_scores=True), SERIES),
        (lambda: masked(SelfAttention()), SERIES),
    ],
    "Multiply": [(lambda: layers.Multiply(), [VECTOR, VECTOR])],
    "Normalization": [(adapted, VECTOR)],
    "PReLU": [(lambda: layers.PReLU(shared_axes=[1]), SERIES)],
    "Permute": [(lambda: layers.Permute((2, 1)), SERIES)],
    "RMSNormalization": [
        (lambda: layers.RMSNormalization(), SERIES),
        (lambda: layers.RMSNormalization(axis=1), SERIES),
    ],
    "RNN": [
        (lambda: layers.RNN([layers.SimpleRNNCell(3), layers.SimpleRNNCell(2)]), SERIES),
        (lambda: layers.RNN(layers.SimpleRNNCell(3), unroll=True), SERIES),
    ],
    "ReLU": [(lambda: layers.ReLU(max_value=6.0, negative_slope=0.1), VECTOR)],
    "RepeatVector": [(lambda: layers.RepeatVector(3), VECTOR)],
    "Rescaling": [
        (lambda: layers.Rescaling(1 / 255), IMAGE),
        (lambda: layers.Rescaling([0.5, 2.0], [1.0, 0.0]), IMAGE),
    ],
    "Reshape": [(lambda: layers.Reshape((2, -1)), VECTOR)],
    "ReversibleEmbedding": [
        (lambda: [layers.ReversibleEmbedding(10, 3, mask_zero=True), layers.LSTM(2)], "tokens"),
        (lambda: ThereAndBack(tie_weights=False), "tokens"),
        (lambda: ThereAndBack(logit_soft_cap=5.0), "tokens"),
    ],
    "SeparableConv1D": [(lambda: layers.SeparableConv1D(3, 2, padding="same"), SERIES_1D)],
    "SeparableConv2D": [
        (lambda: layers.SeparableConv2D(3, 3, strides=2, depth_multiplier=2), IMAGE),
    ],
    "STFTSpectrogram": [
        (lambda mode=mode: layers.STFTSpectrogram(mode, 4, padding="same"), SERIES_1D)
        for mode in ("log", "psd", "real", "stft")
    ],
    "SimpleRNN": [
        (lambda: layers.SimpleRNN(3), SERIES),
        (lambda: masked(layers.SimpleRNN(3)), SERIES),
    ],
    "SimpleRNNCell": [(lambda: layers.RNN(layers.SimpleRNNCell(3)), SERIES)],
    "Softmax": [(lambda: layers.Softmax(), VECTOR), (lambda: layers.Softmax(axis=[1, 2]), SERIES)],
    "SpatialDropout1D": [(lambda: layers.SpatialDropout1D(0.3), SERIES)],
    "SpatialDropout2D": [(lambda: layers.SpatialDropout2D(0.3), IMAGE)],
    "SpatialDropout3D": [(lambda: layers.SpatialDropout3D(0.3), VOLUME)],
    "SpectralNormalization": [
        (lambda: layers.SpectralNormalization(layers.Dense(3)), VECTOR),
        (lambda: layers.SpectralNormalization(layers.Conv2D(3, 2), power_iterations=2), IMAGE),
    ],
    "StackedRNNCells": [(lambda: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3)])), SERIES)],
    "Subtract": [(lambda: layers.Subtract(), [VECTOR, VECTOR])],
    "TimeDistributed": [
        (lambda: layers.TimeDistributed(layers.Dense(2)), SERIES),
        (lambda: masked(layers.TimeDistributed(layers.Dense(2))), SERIES),
    ],
    "TorchModuleWrapper": [
        (lambda: layers.TorchModuleWrapper(torch.nn.Linear(WIDTH, 3)), VECTOR),
        (lambda: torch.nn.GroupNorm(2, WIDTH), VECTOR),
    ],
    "UnitNormalization": [
        (lambda: layers.UnitNormalization(), VECTOR),
        (lambda: layers.UnitNormalization(axis=[1, 2]), SERIES),
    ],
    "UpSampling1D": [(lambda: layers.UpSampling1D(2), SERIES_1D)],
    "UpSampling2D": [
        (lambda: layers.UpSampling2D(2), IMAGE),
        (lambda: layers.UpSampling2D(2, interpolation="bilinear"), IMAGE),
    ],
    "UpSampling3D": [(lambda: layers.UpSampling3D(2), VOLUME)],
    "ZeroPadding1D": [(lambda: layers.ZeroPadding1D(1), SERIES_1D)],
    "ZeroPadding2D": [(lambda: layers.ZeroPadding2D(1), IMAGE)],
    "ZeroPadding3D": [(lambda: layers.ZeroPadding3D(1), VOLUME)],
}
# Each of these is called on colored images.
IMAGE_LAYERS = {
    "AugMix": {},
    "AutoContrast": {},
    "CenterCrop": {"height": 4, "width": 5},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 3)},
    "CutMix": {},
    "Equalization": {},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.3},
    "RandomColorDegeneration": {"factor": 0.3},
    "RandomColorJitter": {"brightness_factor": 0.3, "hue_factor": 0.3},
    "RandomContrast": {"factor": 0.3},
    "RandomCrop": {"height": 4, "width": 5},
    "RandomElasticTransform": {},
    "RandomErasing": {},
    "RandomFlip": {},
    "RandomGaussianBlur": {},
    "RandomGrayscale": {},
    "RandomHue": {"factor": 0.3},
    "RandomInvert": {},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.3},
    "RandomSaturation": {"factor": 0.3},
    "RandomSharpness": {"factor": 0.3},
    "RandomShear": {"x_factor": 0.3},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "Resizing": {"height": 4, "width": 5},
    "Solarization": {},
}


class Beside(keras.Layer):
    """Adds what a layer without gradients returns to the layer's input."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return x + self.layer(x)


def image_layer(name):
    layer = getattr(layers, name)(**IMAGE_LAYERS[name])
    without_gradients = name in (
        "ContrastLimitedAdaptiveHistogramEqualization",
        "RandomPosterization",
    )
    if name == "RandomCrop":  # it leaves the size alone where it does not train, as in Keras
        return [layer, layers.GlobalAveragePooling2D()]
    return Beside(layer) if without_gradients else layer


LAYERS["Pipeline"] = [(lambda: layers.Pipeline([layers.Resizing(4, 5), Scale()]), (8, 9, 3))]
LAYERS.update((name, [(functools.partial(image_layer, name), (8, 9, 3))]) for name in IMAGE_LAYERS)

WITHOUT_A_LINE = {
    "StringLookup": "strings are on the host",
    "TextVectorization": "likewise",
    "Layer": "the base class; `Scale` in every model here is one",
    "Wrapper": "a base class; its subclasses have lines",
    "InputLayer": "every functional model here begins with one",
    "FlaxLayer": "it cannot be made, as it belongs to another engine",
    "JaxLayer": "likewise",
    "TFSMLayer": "likewise",
}


class Binned(keras.Layer):
    """`Discretization`, which passes no gradients, in a layer that does."""

    def __init__(self, boundaries, **options):
        super().__init__()
        self.bins = layers.Discretization(boundaries, **options)

    def call(self, x):
        return x.mean(1, keepdim=True) * self.bins(x)


class Crossed(keras.Layer):
    """`HashedCrossing` of two columns, as a layer of one input."""

    def __init__(self, bins, **options):
        super().__init__()
        self.crossing = layers.HashedCrossing(bins, **options)

    def call(self, x):
        return self.crossing([x[:, :1], x[:, 1:2]])


class SelfAttention(keras.Layer):
    """Attention of a series to itself, `MultiHeadAttention` by default, as a layer of one input."""

    def __init__(self, attention=None, **options):
        super().__init__()
        self.supports_masking = True
        self.options = options
        self.attention = attention or layers.MultiHeadAttention(2, 3, dropout=0.1)
        self.takes_list = isinstance(self.attention, layers.Attention)

    def call(self, x):
        inputs = ([x, x],) if self.takes_list else (x, x)
        outputs = self.attention(*inputs, **self.options)
        return outputs[0] if isinstance(outputs, tuple) else outputs


def group_attention(**options):
    """Four heads of queries for two of keys."""
    return layers.GroupQueryAttention(3, 4, 2, dropout=0.1, **options)


class ThereAndBack(keras.Layer):
    """`ReversibleEmbedding` in both directions."""

    def __init__(self, **options):
        super().__init__()
        self.embedding = layers.ReversibleEmbedding(10, 3, **options)

    def call(self, x):
        return self.embedding(self.embedding(x), reverse=True)


def functional_model(chain, shapes):
    """Call the layers on symbolic inputs; floats pass through a weight first."""
    if shapes == "tokens":
        inputs = x = keras.Input((TIME,), dtype="int32")
    elif isinstance(shapes, list):
        inputs = [keras.Input(shape) for shape in shapes]
        x = [Scale()(tensor) for tensor in inputs]
    else:
        inputs = keras.Input(shapes)
        x = Scale()(inputs)
    for layer in (*chain, Unmask(), layers.Flatten(), layers.Dense(1, dtype="float32")):
        x = layer(x)
    return keras.Model(inputs, x)


def eager_model(chain, shapes):
    first = [Scale()] if isinstance(shapes, tuple) else []
    return Chain([*first, *chain, Unmask(), layers.Flatten(), layers.Dense(1, dtype="float32")])


def batch_of(shapes):
    if shapes == "tokens":
        return meta(BATCH, TIME, dtype=torch.int32)
    if isinstance(shapes, list):
        return [meta(BATCH, *shape) for shape in shapes]
    return meta(BATCH, *shapes)


CASES = [
    pytest.param(name, i, style, dtype, id=f"{name}-{i}-{style.__name__}-{dtype}")
    for name, line in LAYERS.items()
    for i in range(len(line))
    for style, dtype in (
        (functional_model, "float32"),
        (functional_model, "mixed_float16"),
        (eager_model, "float32"),
    )
    # Every variant once; the last, which has a mask if any has, in each way.
    if i == len(line) - 1 or (style, dtype) == (functional_model, "float32")
]


@pytest.mark.parametrize(("name", "case", "style", "dtype"), CASES)
def test_layer(name, case, style, dtype):
    make, shapes = LAYERS[name][case]
    with torch.device("meta"):
        made = make()
        chain = [
            layer if isinstance(layer, keras.Layer) else layers.TorchModuleWrapper(layer)
            for layer in (made if isinstance(made, list) else [made])
        ]
        model = style(chain, shapes)
        model.compile("sgd", "mse", weighted_metrics=["mae"])
    logs = run_steps(model, (batch_of(shapes), meta(BATCH, 1), meta(BATCH)))
    assert set(logs) == {"loss", "mae"}
    assert any(type(layer) is getattr(layers, name) for layer in model._flatten_layers())


# Losses ------------------------------------------------------------------------------------------

# What targets and predictions look like: shape of the target and its dtype, then the model's last
# layer, whose input is `(BATCH, TIME, WIDTH)` for a series and `(BATCH, WIDTH)` otherwise.
KINDS = {
    "binary": ((BATCH, 1), torch.float32, lambda: layers.Dense(1, activation="sigmoid")),
    "categorical": (
        (BATCH, CLASSES),
        torch.float32,
        lambda: layers.Dense(CLASSES, activation="softmax"),
    ),
    "sparse": ((BATCH,), torch.int64, lambda: layers.Dense(CLASSES, activation="softmax")),
    "pixels": ((BATCH, TIME), torch.int64, lambda: layers.Dense(CLASSES, activation="softmax")),
    "regression": ((BATCH, 2), torch.float32, lambda: layers.Dense(2)),
}


def model_for(kind):
    series = kind == "pixels"
    inputs = keras.Input(SERIES if series else VECTOR)
    hidden = layers.Dense(5, activation="relu")(inputs)
    return keras.Model(inputs, KINDS[kind][2]()(hidden))


def batch_for(kind, weighted=True):
    shape, dtype, _ = KINDS[kind]
    x = meta(BATCH, *(SERIES if kind == "pixels" else VECTOR))
    data = (x, meta(*shape, dtype=dtype))
    weights = meta(*shape) if kind == "pixels" else meta(BATCH)
    return (*data, weights) if weighted else data


# Class name -> the kind of data, and functions that make the loss.
LOSSES = {
    "BinaryCrossentropy": (
        "binary",
        lambda: losses.BinaryCrossentropy(label_smoothing=0.1),
        lambda: losses.BinaryCrossentropy(from_logits=True),
    ),
    "BinaryFocalCrossentropy": (
        "binary",
        lambda: losses.BinaryFocalCrossentropy(apply_class_balancing=True),
    ),
    "CategoricalCrossentropy": (
        "categorical",
        lambda: losses.CategoricalCrossentropy(),
        lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    ),
    "CategoricalFocalCrossentropy": ("categorical", lambda: losses.CategoricalFocalCrossentropy()),
    "CategoricalGeneralizedCrossEntropy": (
        "sparse",
        lambda: losses.CategoricalGeneralizedCrossEntropy(),
    ),
    "CategoricalHinge": ("categorical", lambda: losses.CategoricalHinge()),
    "Circle": ("sparse", lambda: losses.Circle()),
    "CosineSimilarity": ("regression", lambda: losses.CosineSimilarity()),
    "Dice": ("categorical", lambda: losses.Dice()),
    "Hinge": ("binary", lambda: losses.Hinge()),
    "Huber": ("regression", lambda: losses.Huber(delta=0.5), lambda: "huber"),
    "KLDivergence": ("categorical", lambda: losses.KLDivergence()),
    "LogCosh": ("regression", lambda: losses.LogCosh()),
    "MeanAbsoluteError": ("regression", lambda: losses.MeanAbsoluteError(), lambda: "mae"),
    "MeanAbsolutePercentageError": ("regression", lambda: losses.MeanAbsolutePercentageError()),
    "MeanSquaredError": (
        "regression",
        lambda: losses.MeanSquaredError(reduction="sum"),
        lambda: "mse",
        lambda: torch.nn.MSELoss(),
        lambda: lambda y_true, y_pred: (y_true - y_pred).square().mean(-1),
    ),
    "MeanSquaredLogarithmicError": ("regression", lambda: losses.MeanSquaredLogarithmicError()),
    "Poisson": ("regression", lambda: losses.Poisson()),
    "SparseCategoricalCrossentropy": (
        "sparse",
        lambda: losses.SparseCategoricalCrossentropy(),
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda: losses.SparseCategoricalCrossentropy(ignore_class=0),
        lambda: "crossentropy",
        lambda: torch.nn.CrossEntropyLoss(),
    ),
    "SquaredHinge": ("binary", lambda: losses.SquaredHinge()),
    "Tversky": ("categorical", lambda: losses.Tversky(alpha=0.3)),
}
LOSSES_WITHOUT_A_LINE = {
    "Loss": "the base class",
    "CTC": "torch's CTC reads the lengths of the labels on the host, on a GPU too",
}


@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "plain"])
@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, line in LOSSES.items() for i in range(1, len(line))]
)
def test_loss(name, i, weighted):
    kind, make = LOSSES[name][0], LOSSES[name][i]
    loss = make()
    if weighted and isinstance(loss, torch.nn.Module):
        pytest.skip("a torch loss takes no sample weights")
    with torch.device("meta"):
        model = model_for(kind)
        model.compile("sgd", loss)
    run_steps(model, batch_for(kind, weighted))


def test_sparse_loss_with_classes_ignored_per_pixel():
    with torch.device("meta"):
        model = model_for("pixels")
        model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=2))
    run_steps(model, batch_for("pixels"))


# Metrics -----------------------------------------------------------------------------------------

METRICS = {
    "AUC": (
        "binary",
        lambda: metrics.AUC(),
        lambda: metrics.AUC(curve="PR", from_logits=True),
        lambda: metrics.AUC(thresholds=[0.1, 0.4]),
    ),
    "Accuracy": ("regression", lambda: metrics.Accuracy()),
    "BinaryAccuracy": ("binary", lambda: metrics.BinaryAccuracy(threshold=0.4), lambda: "accuracy"),
    "BinaryCrossentropy": ("binary", lambda: metrics.BinaryCrossentropy(label_smoothing=0.1)),
    "BinaryIoU": ("binary", lambda: metrics.BinaryIoU(dtype="float32")),
    "CategoricalAccuracy": (
        "categorical",
        lambda: metrics.CategoricalAccuracy(),
        lambda: "accuracy",
    ),
    "CategoricalCrossentropy": ("categorical", lambda: metrics.CategoricalCrossentropy()),
    "CategoricalHinge": ("categorical", lambda: metrics.CategoricalHinge()),
    "ConcordanceCorrelation": ("regression", lambda: metrics.ConcordanceCorrelation()),
    "CosineSimilarity": ("regression", lambda: metrics.CosineSimilarity()),
    "F1Score": ("categorical", lambda: metrics.F1Score(average="macro")),
    "FBetaScore": ("categorical", lambda: metrics.FBetaScore(beta=2.0, threshold=0.5)),
    "FalseNegatives": ("binary", lambda: metrics.FalseNegatives()),
    "FalsePositives": ("binary", lambda: metrics.FalsePositives(thresholds=[0.2, 0.8])),
    "Hinge": ("binary", lambda: metrics.Hinge()),
    "IoU": (
        "categorical",
        lambda: metrics.IoU(
            CLASSES, [0, 1], sparse_y_true=False, sparse_y_pred=False, dtype="float32"
        ),
    ),
    "KLDivergence": ("categorical", lambda: metrics.KLDivergence()),
    "LogCoshError": ("regression", lambda: metrics.LogCoshError()),
    "Mean": ("regression", lambda: OfPredictions(metrics.Mean())),
    "MeanAbsoluteError": ("regression", lambda: metrics.MeanAbsoluteError(), lambda: "mae"),
    "MeanAbsolutePercentageError": ("regression", lambda: metrics.MeanAbsolutePercentageError()),
    "MeanIoU": ("pixels", lambda: metrics.MeanIoU(CLASSES, sparse_y_pred=False, dtype="float32")),
    "MeanMetricWrapper": (
        "regression",
        lambda: metrics.MeanMetricWrapper(losses.mean_squared_error),
        lambda: lambda y_true, y_pred: (y_true - y_pred).abs().mean(-1),
    ),
    "MeanSquaredError": ("regression", lambda: metrics.MeanSquaredError(), lambda: "mse"),
    "MeanSquaredLogarithmicError": ("regression", lambda: metrics.MeanSquaredLogarithmicError()),
    "OneHotIoU": ("categorical", lambda: metrics.OneHotIoU(CLASSES, [1], dtype="float32")),
    "OneHotMeanIoU": ("categorical", lambda: metrics.OneHotMeanIoU(CLASSES, dtype="float32")),
    "PearsonCorrelation": ("regression", lambda: metrics.PearsonCorrelation()),
    "Poisson": ("regression", lambda: metrics.Poisson()),
    "Precision": (
        "binary",
        lambda: metrics.Precision(),
        lambda: metrics.Precision(thresholds=[0.3, 0.6]),
    ),
    "PrecisionAtRecall": ("binary", lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=20)),
    "R2Score": (
        "regression",
        lambda: metrics.R2Score(class_aggregation="variance_weighted_average"),
    ),
    "Recall": ("categorical", lambda: metrics.Recall(class_id=1), lambda: metrics.Recall(top_k=2)),
    "RecallAtPrecision": ("binary", lambda: metrics.RecallAtPrecision(0.5, num_thresholds=20)),
    "RootMeanSquaredError": ("regression", lambda: metrics.RootMeanSquaredError()),
    "SensitivityAtSpecificity": (
        "binary",
        lambda: metrics.SensitivityAtSpecificity(0.5, num_thresholds=20),
    ),
    "SparseCategoricalAccuracy": (
        "sparse",
        lambda: metrics.SparseCategoricalAccuracy(),
        lambda: "accuracy",
    ),
    "SparseCategoricalCrossentropy": (
        "sparse",
        lambda: metrics.SparseCategoricalCrossentropy(),
        lambda: "crossentropy",
    ),
    "SparseTopKCategoricalAccuracy": ("sparse", lambda: metrics.SparseTopKCategoricalAccuracy(k=2)),
    "SpecificityAtSensitivity": (
        "binary",
        lambda: metrics.SpecificityAtSensitivity(0.5, num_thresholds=20),
    ),
    "SquaredHinge": ("binary", lambda: metrics.SquaredHinge()),
    "Sum": ("regression", lambda: OfPredictions(metrics.Sum())),
    "TopKCategoricalAccuracy": ("categorical", lambda: metrics.TopKCategoricalAccuracy(k=2)),
    "TrueNegatives": ("binary", lambda: metrics.TrueNegatives()),
    "TruePositives": ("binary", lambda: metrics.TruePositives()),
}
METRICS_WITHOUT_A_LINE = {"Metric": "the base class; `OfPredictions` here is one"}


class OfPredictions(metrics.Metric):
    """Feeds predictions to a metric that takes plain values."""

    def __init__(self, inner):
        super().__init__(name=inner.name)
        self.inner = inner

    @property
    def variables(self):
        return self.inner.variables

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.inner.update_state(y_pred, sample_weight)

    def result(self):
        return self.inner.result()

    def reset_state(self):
        self.inner.reset_state()


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, line in METRICS.items() for i in range(1, len(line))]
)
def test_metric(name, i):
    kind, make = METRICS[name][0], METRICS[name][i]
    with torch.device("meta"):
        model = model_for(kind)
        model.compile("sgd", SumOfOutputs(), metrics=[make()], weighted_metrics=[make()])
    logs = run_steps(model, batch_for(kind))
    assert len(logs) == 3


class SumOfOutputs(losses.Loss):
    """A loss that any kind of target goes with."""

    def call(self, y_true, y_pred):
        return y_pred.sum(-1)


# Optimizers --------------------------------------------------------------------------------------

schedules = optimizers.schedules
OPTIMIZERS = {
    "Adadelta": (lambda o: optimizers.Adadelta(**o),),
    "Adafactor": (lambda o: optimizers.Adafactor(**o), {"relative_step": False}),
    "Adagrad": (lambda o: optimizers.Adagrad(**o),),
    "Adam": (lambda o: optimizers.Adam(**o), {"amsgrad": True}),
    "AdamW": (lambda o: optimizers.AdamW(**o), {"weight_decay": 0.1}),
    "Adamax": (lambda o: optimizers.Adamax(**o),),
    "Ftrl": (
        lambda o: optimizers.Ftrl(**o),
        {"l2_shrinkage_regularization_strength": 0.1, "learning_rate_power": -0.2},
    ),
    "Lamb": (lambda o: optimizers.Lamb(**o),),
    "Lion": (lambda o: optimizers.Lion(**o),),
    "LossScaleOptimizer": (lambda o: optimizers.LossScaleOptimizer(optimizers.Adam(**o)),),
    "MultiOptimizer": (
        lambda o: optimizers.MultiOptimizer(
            optimizers.OptimizerMap(optimizers.Adam(**o), {".*bias": optimizers.SGD(**o)})
        ),
    ),
    "Muon": (lambda o: optimizers.Muon(**o), {"nesterov": False, "rms_rate": None}),
    "Nadam": (lambda o: optimizers.Nadam(**o),),
    "RMSprop": (lambda o: optimizers.RMSprop(**o), {"centered": True, "momentum": 0.9}),
    "SGD": (lambda o: optimizers.SGD(**o), {"momentum": 0.9, "nesterov": True}),
    "ScheduleFreeAdamW": (lambda o: optimizers.ScheduleFreeAdamW(**o), {"warmup_steps": 2}),
}
SCHEDULES = {
    "CosineDecay": lambda: schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3),
    "CosineDecayRestarts": lambda: schedules.CosineDecayRestarts(0.1, 10),
    "ExponentialDecay": lambda: schedules.ExponentialDecay(0.1, 10, 0.9, staircase=True),
    "InverseTimeDecay": lambda: schedules.InverseTimeDecay(0.1, 10, 0.9),
    "PiecewiseConstantDecay": lambda: schedules.PiecewiseConstantDecay([2, 4], [0.3, 0.2, 0.1]),
    "PolynomialDecay": lambda: schedules.PolynomialDecay(0.1, 10, cycle=True),
}
OPTIMIZERS_WITHOUT_A_LINE = {
    "LearningRateSchedule": "the base class of schedules",
    "OptimizerMap": "a mapping, tested with MultiOptimizer",
}
OPTIONS = [
    {},
    {"clipnorm": 1.0},
    {"clipvalue": 1.0},
    {"global_clipnorm": 1.0, "weight_decay": 0.01},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2, "loss_scale_factor": 8.0},
]


def train_with(optimizer, count=3):
    with torch.device("meta"):
        inputs = keras.Input(VECTOR)
        x = layers.Dense(5, kernel_constraint="unit_norm", kernel_regularizer="l2")(inputs)
        x = layers.BatchNormalization()(x)
        model = keras.Model(inputs, layers.Dense(2)(x))
        model.compile(optimizer, "mse")
    run_steps(model, (meta(BATCH, *VECTOR), meta(BATCH, 2)), count)
    return model.optimizer


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "plain")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, options):
    make = OPTIMIZERS[name][0]
    if name == "LossScaleOptimizer" and "gradient_accumulation_steps" in options:
        pytest.skip("computing an update at each call would cost more than asking the device")
    optimizer = train_with(make(dict(options)))
    if name == "LossScaleOptimizer":
        return  # only the device knows which steps were skipped
    inner = optimizer.optimizers[0] if name == "MultiOptimizer" else optimizer
    assert int(inner.iterations) == (4 // options.get("gradient_accumulation_steps", 1))


@pytest.mark.parametrize("name", [name for name, line in OPTIMIZERS.items() if len(line) > 1])
def test_optimizer_with_its_own_options(name):
    make, options = OPTIMIZERS[name]
    assert int(train_with(make(dict(options))).iterations) == 4


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name):
    optimizer = train_with(optimizers.Adam(SCHEDULES[name]()))
    assert optimizer.learning_rate.device.type == "cpu"  # reading it waits for no GPU


@pytest.mark.parametrize("cls", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_torch_optimizer(cls):
    if cls is not torch.optim.SGD and TORCH < (2, 13):
        pytest.skip("torch's own step reads its count from the device (seen in 2.9)")
    train_with(cls)


# Models ------------------------------------------------------------------------------------------


def test_two_inputs_and_outputs_with_a_dict_of_losses():
    with torch.device("meta"):
        a, b = keras.Input(VECTOR, name="a"), keras.Input(VECTOR, name="b")
        x = layers.concatenate([a, b])
        first = layers.Dense(1, name="first")(x)
        second = layers.Dense(CLASSES, activation="softmax", name="second")(x)
        model = keras.Model({"a": a, "b": b}, {"first": first, "second": second})
        model.compile(
            "adam",
            {"first": "mse", "second": "sparse_categorical_crossentropy"},
            loss_weights={"first": 0.5},
            metrics={"second": ["accuracy"]},
        )
    x = {"a": meta(BATCH, *VECTOR), "b": meta(BATCH, *VECTOR)}
    y = {"first": meta(BATCH, 1), "second": meta(BATCH, dtype=torch.int64)}
    weights = {"first": meta(BATCH), "second": meta(BATCH)}
    logs = run_steps(model, (x, y, weights))
    assert set(logs) == {"loss", "first_loss", "second_loss", "second_accuracy"}


def test_overridden_train_step():
    class Custom(Chain):
        def train_step(self, data):
            x, y = data
            loss = self.compute_loss(x, y, self(x, training=True))
            self.zero_grad()
            loss.backward()
            gradients = [v.value.grad for v in self.trainable_weights]
            self.optimizer.apply(gradients, self.trainable_weights)
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

    with torch.device("meta"):
        model = Custom([layers.Dense(3, activation="relu"), layers.Dense(1)])
        model.tracker = metrics.Mean(name="loss")
        model.build((None, *VECTOR))
        model.compile("adam", "mse")
    run_steps(model, (meta(BATCH, *VECTOR), meta(BATCH, 1)))


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_a_device_scope_around_fit_does_not_reach_the_data(shuffle):
    """Samples are permuted on the host, also where `torch.device("cuda")` is in force."""
    model = model_on_the_cpu()
    x, y = torch.rand(20, WIDTH), torch.rand(20, 2)
    with torch.device("meta"):
        history = model.fit(x, y, batch_size=6, shuffle=shuffle, verbose=0)
        outputs = model.predict(x, verbose=0)
    assert history.history["loss"][0] > 0
    assert outputs.shape == (20, 2)


def model_on_the_cpu():
    model = keras.Sequential([keras.Input(VECTOR), layers.Dropout(0.1), layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


# The tables, and that a failure is one -----------------------------------------------------------


def registered(namespace):
    """The names of the classes that configs may name under `keras.<namespace>`.

    Those of the drop-in are left out: they are there once a test has used it.
    """
    return {
        path.rpartition(".")[2]
        for path, obj in registry.registered_paths()
        if path.startswith(f"keras.{namespace}.") and inspect.isclass(obj)
        if path == registry._PATHS[obj] and not obj.__module__.startswith("torchkeras.dropin.")
    }


@pytest.mark.parametrize(
    ("namespace", "lines"),
    [
        ("layers", {*LAYERS, *WITHOUT_A_LINE}),
        ("losses", {*LOSSES, *LOSSES_WITHOUT_A_LINE}),
        ("metrics", {*METRICS, *METRICS_WITHOUT_A_LINE}),
        ("optimizers", {*OPTIMIZERS, *SCHEDULES, *OPTIMIZERS_WITHOUT_A_LINE}),
    ],
)
def test_the_tables_are_complete(namespace, lines):
    names = registered(namespace)
    assert len(names) > 10
    assert names - lines == set(), "add a line to the table in this file"
    assert lines - names == set(), "these no longer exist"


SINS = {
    "item": lambda x: x * x.mean().item(),
    "float": lambda x: x * float(x.mean()),
    "bool": lambda x: x if x.sum() > 0 else -x,
    "numpy": lambda x: x * x.detach().numpy().mean(),
    "tolist": lambda x: x * x.mean(0).tolist()[0],
    "cpu": lambda x: x * x.cpu(),
    "boolean index": lambda x: x * x[x > 0].mean(),
    "tensor on the CPU": lambda x: x + torch.ones(x.shape[-1]),
    "tensor from numbers": lambda x: x + torch.tensor([1.0, 2.0, 3.0, 4.0], device=x.device),
    "copy to the device": lambda x: x + torch.ones(()).to(x.device),
}


@pytest.mark.parametrize("sin", SINS)
def test_host_synchronization_is_caught(sin):
    class Sinner(keras.Layer):
        def call(self, x):
            # The first step may look at values, so that this test is one of the later steps.
            return SINS[sin](x) if armed else x

    armed = False
    with torch.device("meta"):
        model = Chain([Scale(), Sinner(), layers.Dense(1)])
        model.compile("sgd", "mse")
        data = (meta(BATCH, *VECTOR), meta(BATCH, 1))
        run_steps(model, data)
    armed = True
    with (
        pytest.raises((RuntimeError, NotImplementedError, AssertionError, TypeError)),
        NoHostTraffic(),
    ):
        model.train()
        model.train_function([data])


def test_host_synchronization_in_a_metric_is_caught():
    class Counted(metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state((y_true == y_pred).sum().item())

    with torch.device("meta"):
        model = model_for("regression")
        model.compile("sgd", "mse", metrics=[Counted()])
        with pytest.raises(RuntimeError):
            run_steps(model, batch_for("regression"))
