"""`Model.to_torch`, layer by layer: every layer of `keras.layers` is a case here, or is refused."""

import copy
import inspect
import warnings

import numpy as np
import pytest
import torch

from torchkeras import Input, Model, layers, ops
from torchkeras.export.pytorch.module import to_source
from torchkeras.layers import Layer

WORDS = ("words", 9)  # integers below 9


def data(shape, seed=0):
    if shape[0] == "words":
        return torch.from_numpy(np.random.default_rng(seed).integers(0, shape[1], (3, *shape[2:])))
    x = np.random.default_rng(seed).standard_normal((3, *shape)).astype("float32")
    return torch.from_numpy(x)


def words(*shape):
    return (*WORDS, *shape)


def entry(shape):
    return Input(shape[2:], dtype="int32") if shape[0] == "words" else Input(shape)


def case(layer, *shapes, call=None):
    """A layer, the shapes of its inputs, and how it is called on them."""
    return pytest.param(layer, shapes, call, id=type(layer).__name__)


def listed(layer, *inputs):
    return layer(list(inputs))


def both(layer, *inputs):
    return layer(*inputs)


def masked(layer, x):
    return layer(layers.Masking()(x))


SEQUENCE, IMAGE, VOLUME = (6, 4), (8, 7, 4), (4, 5, 6, 2)
L = layers
CASES = [
    case(L.Activation("gelu"), (5,)),
    case(L.Activation("squareplus"), (5,)),
    case(L.Activation("sparsemax"), (4, 3)),
    case(L.Activation("glu"), (4, 6)),
    case(L.Activation(torch.nn.functional.silu), (4, 6)),
    case(L.ActivityRegularization(0.1), (5,)),
    case(L.AdaptiveAveragePooling1D(3), SEQUENCE),
    case(L.AdaptiveAveragePooling2D((3, 2)), IMAGE),
    case(L.AdaptiveAveragePooling3D(2), VOLUME),
    case(L.AdaptiveMaxPooling1D(3), SEQUENCE),
    case(L.AdaptiveMaxPooling2D(3), IMAGE),
    case(L.AdaptiveMaxPooling3D(2), VOLUME),
    case(L.Add(), (5, 4), (4,), call=listed),
    case(L.AdditiveAttention(), (3, 4), (5, 4), call=listed),
    case(L.AlphaDropout(0.2), (5,)),
    case(L.Attention(use_scale=True, score_mode="concat"), (3, 4), (5, 4), (5, 4), call=listed),
    case(
        L.Attention(dropout=0.1),
        (3, 4),
        (5, 4),
        call=lambda f, *x: f(list(x), return_attention_scores=True, use_causal_mask=True),
    ),
    case(L.Average(), (5,), (5,), (5,), call=listed),
    case(L.AveragePooling1D(2, padding="same"), (7, 4)),
    case(L.AveragePooling2D(3, 2, padding="same"), (7, 7, 4)),
    case(L.AveragePooling2D(3, 1, padding="same"), IMAGE),
    case(L.AveragePooling3D(2), VOLUME),
    case(L.BatchNormalization(scale=False), IMAGE),
    case(L.BatchNormalization(center=False, momentum=0.9), (5,)),
    case(L.BatchNormalization(axis=1, epsilon=1e-5), IMAGE),
    case(L.BatchNormalization(center=False, scale=False), SEQUENCE),
    case(L.Bidirectional(L.LSTM(3, return_sequences=True)), SEQUENCE),
    case(L.Bidirectional(L.GRU(3), merge_mode="ave"), SEQUENCE),
    case(L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=None), SEQUENCE),
    case(L.Bidirectional(L.LSTM(3, return_sequences=True)), SEQUENCE, call=masked),
    case(L.Bidirectional(L.LSTM(3, return_state=True)), SEQUENCE, call=masked),
    case(L.Bidirectional(L.SimpleRNN(3), backward_layer=L.LSTM(3, go_backwards=True)), SEQUENCE),
    case(L.CenterCrop(4, 3), IMAGE),
    case(L.CenterCrop(9, 3), IMAGE),
    case(L.Concatenate(), (5, 2, 3), (5, 2, 1), call=listed),
    case(L.Conv1D(3, 3, padding="causal", dilation_rate=2), SEQUENCE),
    case(L.Conv1DTranspose(3, 3, 2, padding="same"), SEQUENCE),
    case(L.Conv2D(6, 3, 2, padding="same", activation="relu", groups=2), IMAGE),
    case(L.Conv2D(3, (2, 3), padding="same", use_bias=False), (None, None, 4)),
    case(L.Conv2D(3, 3, 2, padding="same"), (None, None, 4)),
    case(L.Conv2D(3, 3, data_format="channels_first"), (4, 8, 7)),
    case(L.Conv2DTranspose(3, 4, 2, padding="same"), IMAGE),
    case(L.Conv2DTranspose(3, 3, 3, output_padding=1, activation="softmax"), IMAGE),
    case(L.Conv3D(3, 2, dilation_rate=2), VOLUME),
    case(L.Conv3DTranspose(3, 2, 2), VOLUME),
    case(L.Cropping1D((1, 2)), SEQUENCE),
    case(L.Cropping2D(((0, 1), (2, 0))), IMAGE),
    case(L.Cropping3D(1), VOLUME),
    case(L.Dense(3, "softmax"), (6, 4)),
    case(L.Dense(3, L.LeakyReLU(), use_bias=False), (4,)),
    case(L.DepthwiseConv1D(3, 2, "same", 2), (7, 4)),
    case(L.DepthwiseConv2D(3, 2, "same", 2), IMAGE),
    case(L.Dot((2, 1)), (5, 4), (4, 3), call=listed),
    case(L.Dot(-1, normalize=True), (4,), (4,), call=listed),
    case(L.Dropout(0.3), (5,)),
    case(L.Dropout(0.3, noise_shape=(None, 1, 1, None)), IMAGE),
    case(L.ELU(0.5), (5,)),
    case(L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"), (6, 4)),
    case(L.EinsumDense("abc,bcd->abd", (6, 5), bias_axes="bd", activation="relu"), (6, 4)),
    case(L.Embedding(9, 4), words(5)),
    case(L.Flatten(), IMAGE),
    case(L.Flatten("channels_first"), IMAGE),
    case(L.GRU(3, return_sequences=True, dropout=0.1), SEQUENCE),
    case(L.GRU(3, reset_after=False), SEQUENCE),
    case(L.GRU(3, use_bias=False, go_backwards=True, return_state=True), SEQUENCE),
    case(L.GRU(3, activation="relu", recurrent_activation="hard_sigmoid"), SEQUENCE, call=masked),
    case(L.GaussianDropout(0.2), (5,)),
    case(L.GaussianNoise(0.2), (5,)),
    case(L.GlobalAveragePooling1D(), SEQUENCE, call=masked),
    case(L.GlobalAveragePooling2D(keepdims=True), IMAGE),
    case(L.GlobalAveragePooling3D(), VOLUME),
    case(L.GlobalMaxPooling1D(), SEQUENCE),
    case(L.GlobalMaxPooling2D("channels_first"), IMAGE),
    case(L.GlobalMaxPooling3D(), VOLUME),
    case(L.GroupNormalization(2, scale=False), IMAGE),
    case(L.GroupNormalization(-1, axis=1), IMAGE),
    case(
        L.GroupQueryAttention(3, 4, 2, use_gate=True),
        (6, 8),
        (5, 8),
        call=lambda f, x, y: f(x, y, use_causal_mask=True),
    ),
    case(L.Identity(), (5,)),
    case(L.LSTM(3), SEQUENCE),
    case(L.LSTM(3, return_sequences=True, return_state=True), SEQUENCE, call=masked),
    case(L.LSTM(3, use_bias=False, go_backwards=True), SEQUENCE, call=masked),
    case(L.LSTM(3, activation="softsign", recurrent_dropout=0.2), SEQUENCE),
    case(
        L.LSTM(3, return_sequences=True),
        SEQUENCE,
        (3,),
        (3,),
        call=lambda f, x, *states: f(x, initial_state=list(states)),
    ),
    case(L.LayerNormalization(axis=(1, 2), center=False), IMAGE),
    case(L.LayerNormalization(), SEQUENCE),
    case(L.LeakyReLU(), (5,)),
    case(L.Masking(), SEQUENCE),
    case(L.MaxPooling1D(3, 2, padding="same"), SEQUENCE),
    case(L.MaxPooling2D(2, 1, padding="same"), IMAGE),
    case(L.MaxPooling2D(3, 2, padding="same"), (None, 7, 4)),
    case(L.MaxPooling3D(2), VOLUME),
    case(L.Maximum(), (5,), (5,), call=listed),
    case(L.Minimum(), (5,), (5,), (5,), call=listed),
    case(L.MultiHeadAttention(2, 4), (6, 8), (5, 8), call=both),
    case(L.MultiHeadAttention(2, 4, use_bias=False), (6, 8), (5, 3), (5, 4), call=both),
    case(
        L.MultiHeadAttention(2, 4, dropout=0.1),
        (6, 8),
        call=lambda f, x: f(x, x, use_causal_mask=True, return_attention_scores=True),
    ),
    case(
        L.MultiHeadAttention(2, 3, value_dim=5, output_shape=7), SEQUENCE, call=lambda f, x: f(x, x)
    ),
    case(
        L.MultiHeadAttention(2, 4, sliding_window=2),
        (6, 8),
        call=lambda f, x: f(L.Masking()(x), x, return_attention_scores=True),
    ),
    case(L.Multiply(), IMAGE, (1, 1, 4), call=listed),
    case(L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 0.0]), (6, 4)),
    case(L.Normalization(axis=None, mean=2.0, variance=3.0, invert=True), (6, 4)),
    case(L.PReLU("random_normal", shared_axes=[1, 2]), IMAGE),
    case(L.PReLU("random_normal"), SEQUENCE),
    case(L.Permute((2, 1)), SEQUENCE),
    case(L.RMSNormalization(), SEQUENCE),
    case(L.RMSNormalization(axis=1, epsilon=0.1), SEQUENCE),
    case(L.RNN(L.LSTMCell(3), return_sequences=True), SEQUENCE),
    case(L.ReLU(6.0), (5,)),
    case(L.ReLU(negative_slope=0.1, threshold=0.2, max_value=1.0), (5,)),
    case(L.RepeatVector(3), (4,)),
    case(L.Rescaling(1 / 255, -0.5), IMAGE),
    case(L.Rescaling([1.0, 2.0, 3.0, 4.0], 1.0), IMAGE),
    case(L.Reshape((-1, 2)), (3, 4)),
    case(L.Reshape((1, 1, 4)), (4,)),
    case(L.Resizing(5, 9), IMAGE),
    case(L.Resizing(5, 4, "nearest", crop_to_aspect_ratio=True), IMAGE),
    case(L.Resizing(5, 4, "keras2_bicubic", crop_to_aspect_ratio=True), IMAGE),
    case(L.Resizing(5, 4, "keras2_bicubic", antialias=True), IMAGE),
    case(L.UpSampling2D((2, 3), interpolation="keras2_bicubic"), IMAGE),
    case(L.SeparableConv1D(3, 3, padding="causal", dilation_rate=2), SEQUENCE),
    case(L.Resizing(5, 4, "bicubic", pad_to_aspect_ratio=True, antialias=True), IMAGE),
    case(L.ReversibleEmbedding(9, 4), words(5), call=lambda f, x: f(f(x), reverse=True)),
    case(L.SeparableConv1D(5, 3, 2, "same", depth_multiplier=2), SEQUENCE),
    case(L.SeparableConv2D(5, 3, padding="same", activation="relu"), IMAGE),
    case(L.SimpleRNN(3, "relu"), SEQUENCE, call=masked),
    case(
        L.SimpleRNN(3, "elu", return_sequences=True, zero_output_for_mask=True),
        SEQUENCE,
        call=masked,
    ),
    case(L.Softmax((1, 2)), SEQUENCE),
    case(L.Softmax(1), IMAGE),
    case(L.SpatialDropout1D(0.2), SEQUENCE),
    case(L.SpatialDropout2D(0.2), IMAGE),
    case(L.SpatialDropout3D(0.2), VOLUME),
    case(L.SpectralNormalization(L.Conv2D(3, 2)), IMAGE),
    case(L.Subtract(), (5,), (5,), call=listed),
    case(L.TimeDistributed(L.Conv2D(3, 2, activation="relu")), (2, 5, 5, 3)),
    case(L.TorchModuleWrapper(torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Tanh())), (5,)),
    case(L.UnitNormalization(), SEQUENCE),
    case(L.UpSampling1D(3), SEQUENCE),
    case(L.UpSampling2D((2, 3), interpolation="bilinear"), IMAGE),
    case(L.UpSampling2D(3), IMAGE),
    case(L.UpSampling3D(2), VOLUME),
    case(L.ZeroPadding1D((1, 2)), SEQUENCE),
    case(L.ZeroPadding2D(((0, 1), (2, 0)), "channels_first"), (4, 8, 7)),
    case(L.ZeroPadding3D(1), VOLUME),
]

# In inference they leave images alone; a warning says that they are left out.
AUGMENTATION = [
    L.RandAugment(),
    L.RandomBrightness(0.1),
    L.RandomColorDegeneration(0.1),
    L.RandomColorJitter(brightness_factor=0.1),
    L.RandomContrast(0.1),
    L.RandomElasticTransform(),
    L.RandomErasing(),
    L.RandomFlip(),
    L.RandomGaussianBlur(),
    L.RandomGrayscale(),
    L.RandomHue(0.1),
    L.RandomInvert(),
    L.RandomPerspective(),
    L.RandomPosterization(4),
    L.RandomRotation(0.1),
    L.RandomSaturation(0.5),
    L.RandomSharpness(0.1),
    L.RandomShear(0.1),
    L.RandomTranslation(0.1, 0.1),
    L.RandomZoom(0.1),
    L.AugMix(),
]

# Layers that have no form in plain PyTorch, and why.
REFUSED = {
    "AutoContrast": "image processing outside of torch.nn",
    "CategoryEncoding": "preprocessing of categories: done on the data",
    "ContrastLimitedAdaptiveHistogramEqualization": "image processing outside of torch.nn",
    "ConvLSTM1D": "torch.nn has no convolutional LSTM",
    "ConvLSTM2D": "torch.nn has no convolutional LSTM",
    "ConvLSTM3D": "torch.nn has no convolutional LSTM",
    "CutMix": "mixes images with labels, in the data",
    "Discretization": "preprocessing of categories: done on the data",
    "Equalization": "image processing outside of torch.nn",
    "FlaxLayer": "cannot be made",
    "GRUCell": "a part of a recurrent layer",
    "HashedCrossing": "preprocessing of categories: done on the data",
    "Hashing": "preprocessing of categories: done on the data",
    "InputLayer": "a parameter of `forward`",
    "IntegerLookup": "a lookup table: done on the data",
    "JaxLayer": "cannot be made",
    "LSTMCell": "a part of a recurrent layer",
    "Lambda": "holds Python code",
    "Layer": "a base class",
    "MaxNumBoundingBoxes": "bounding boxes: done on the data",
    "MelSpectrogram": "belongs to torchaudio",
    "MixUp": "mixes images with labels, in the data",
    "Pipeline": "a list of image processing layers: done on the data",
    "RandomCrop": "changes the shape of images at random",
    "STFTSpectrogram": "belongs to torchaudio",
    "SimpleRNNCell": "a part of a recurrent layer",
    "Solarization": "image processing outside of torch.nn",
    "StackedRNNCells": "a part of a recurrent layer",
    "StringLookup": "strings are no tensors",
    "TFSMLayer": "cannot be made",
    "TextVectorization": "strings are no tensors",
    "Wrapper": "a base class",
}


def made(layer, shapes, call):
    inputs = [entry(shape) for shape in shapes]
    layer = copy.deepcopy(layer)  # the case stays as it is, without losses or weights
    return Model(inputs, (call or both)(layer, *inputs))


def randomized(model):
    """Move weights away from their first values, which hide what is left out."""
    generator = torch.Generator().manual_seed(0)
    for weight in model.weights:
        if weight.is_floating_point():
            noise = torch.rand(weight.shape, generator=generator, dtype=weight.dtype)
            weight.assign(weight + 0.3 * noise)
    return model


def tensors(shapes):
    known = [tuple(9 if n is None else n for n in shape) for shape in shapes]
    found = [data(shape, seed) for seed, shape in enumerate(known)]
    if shapes[0] == SEQUENCE:
        found[0][0, 1] = found[0][0, 4:] = 0  # steps that `Masking` masks
        found[0][1] = 0
    return found


@pytest.mark.parametrize("layer, shapes, call", CASES)
def test_the_module_computes_what_the_layer_does(layer, shapes, call):
    model = randomized(made(layer, shapes, call))
    inputs = tensors(shapes)
    module = model.to_torch()
    assert not any(isinstance(part, Layer) for part in module.modules())
    expected = model(inputs if len(inputs) > 1 else inputs[0])
    # The mean over no steps at all is NaN on both sides.
    torch.testing.assert_close(module(*inputs), expected, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("layer", AUGMENTATION, ids=lambda layer: type(layer).__name__)
def test_augmentation_is_left_out_with_a_warning(layer):
    x = Input((8, 8, 3))
    model = Model(x, layer(x))
    with pytest.warns(UserWarning, match="changes images at random"):
        module = model.to_torch()
    images = 255 * torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(images), model(images, training=False))


def test_every_layer_is_a_case_or_has_a_reason():
    covered = {type(case.values[0]) for case in CASES} | {type(layer) for layer in AUGMENTATION}
    names = {
        name
        for name in layers.__all__
        if inspect.isclass(getattr(layers, name)) and issubclass(getattr(layers, name), Layer)
    }
    missing = {n for n in names if getattr(layers, n) not in covered} - set(REFUSED)
    assert not missing
    assert not {n for n in REFUSED if getattr(layers, n) in covered} | (set(REFUSED) - names)


def test_what_is_refused_says_so_and_names_the_layer():
    x = Input((5, 6, 6, 3))
    model = Model(x, L.ConvLSTM2D(2, 3, name="memory")(x))
    with pytest.raises(NotImplementedError, match="'memory' .of type ConvLSTM2D.(.|\n)*Fix: use"):
        model.to_torch()
    x = Input((6, 6, 3))
    refused = [
        (L.Lambda(lambda x: x + 1), "Python code"),
        (L.Solarization(), "image processing"),
        (L.RandomCrop(3, 3), "changes the size"),
        (L.UpSampling2D(2, interpolation="lanczos3"), "lanczos3"),
        (L.Dense(3, dtype="mixed_bfloat16"), "computes in bfloat16"),
        (L.Dense(3, activation=lambda x: x + 1), "is a Python function"),
    ]
    for layer, reason in refused:
        with pytest.raises(NotImplementedError, match=reason):
            Model(x, layer(x)).to_torch()
    with pytest.raises(NotImplementedError, match="training=True"):
        Model(x, L.Dropout(0.5)(x, training=True)).to_torch()
    with pytest.raises(NotImplementedError, match="stateful=True"):
        s = Input(batch_shape=(2, 4, 3))
        Model(s, L.LSTM(3, stateful=True)(s)).to_torch()


# Operations in the graph -------------------------------------------------------------------------

A, B = (4, 6), (6, 5)
OPERATIONS = {
    "arithmetic": lambda a, b: (2 - a) * a / 3 + a**2 - (-a),
    "matmul": lambda a, b: a @ b,
    "elementwise": lambda a, b: ops.exp(ops.tanh(a)) + ops.sqrt(ops.abs(a)) + ops.clip(a, -1, 1),
    "activations": lambda a, b: ops.gelu(a) + ops.softmax(a) + ops.log_softmax(a) + ops.relu6(a),
    "reductions": lambda a, b: ops.mean(a, 1, keepdims=True) + ops.max(a, 2, keepdims=True),
    "moments": lambda a, b: ops.var(a, axis=[1, 2]) + ops.std(a, axis=(1, 2)) + ops.sum(a, (1, 2)),
    "logsumexp": lambda a, b: ops.logsumexp(a, -1),
    "extremes": lambda a, b: ops.maximum(a, 0.5) + ops.minimum(a, ops.flip(a, 1)),
    "index": lambda a, b: a[:, 1:, ::2] + a[:, :3, None, 0],
    "shapes": lambda a, b: ops.reshape(ops.transpose(a, (0, 2, 1)), (-1, 3, 8)),
    "axes": lambda a, b: ops.squeeze(ops.expand_dims(ops.swapaxes(a, 1, 2), 1), 1),
    "join": lambda a, b: ops.concatenate([a, ops.stack([a[:, 0], a[:, 1]], 1)], axis=1),
    "split": lambda a, b: ops.split(a, 2, axis=-1)[1],
    "einsum": lambda a, b: ops.einsum("bij,bjk->bik", a, b),
    "where": lambda a, b: ops.where(a > 0, a, ops.zeros_like(a)),
    "cast": lambda a, b: ops.cast(ops.greater(a, 0), "float32"),
    "argmax": lambda a, b: ops.argmax(a, axis=-1),
    "one_hot": lambda a, b: ops.one_hot(ops.argmax(a, axis=-1), 6),
    "pad": lambda a, b: ops.pad(a, ((0, 0), (1, 2), (0, 0))),
    "repeat": lambda a, b: ops.tile(ops.repeat(a, 2, axis=1), (1, 1, 2)),
    "normalize": lambda a, b: ops.normalize(a, axis=1),
    "cumsum": lambda a, b: ops.cumsum(a, axis=1),
    "take": lambda a, b: ops.take(a, [0, 2], axis=2),
    "constant": lambda a, b: a + np.arange(6, dtype="float32"),
    "torch": lambda a, b: torch.nn.functional.silu(a) + torch.cat([a, a], dim=1)[:, :4],
    "torch method": lambda a, b: torch.transpose(a, 1, 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    a, b = Input(A), Input(B)
    model = Model([a, b], OPERATIONS[name](a, b))
    inputs = [data(A), data(B, 1)]
    torch.testing.assert_close(model.to_torch()(*inputs), model(inputs), rtol=1e-5, atol=1e-5)


def test_operations_between_images_keep_their_channels_first():
    x = Input((8, 8, 3))
    y = L.Conv2D(4, 3, padding="same")(x)
    z = ops.relu(y * 2.0 + ops.mean(y, axis=(1, 2), keepdims=True))
    model = Model(x, ops.mean(ops.softmax(z, axis=-1), axis=(1, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source, _ = to_source(model)
    assert source.count("permute") == 1
    torch.testing.assert_close(model.to_torch()(data((8, 8, 3))), model(data((8, 8, 3))))


def test_an_operation_that_is_not_known_is_named():
    x = Input((4,))
    with pytest.raises(NotImplementedError, match="'Heaviside'(.|\n)*use a torch function"):
        Model(x, ops.heaviside(x, 0.5)).to_torch()
