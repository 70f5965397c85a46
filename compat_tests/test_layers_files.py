"""Every layer beside Keras's: gradients, masks, and files there and back; a small model for each.

Both libraries build the model of a line; their configs and variables (paths, shapes, dtypes) must
be equal. Each then reads what the other wrote, and gives the same numbers for the same input. A
layer added to `keras.layers` without a line fails `test_the_table_is_complete`.
"""

import json
import re

import keras
import numpy as np
import pytest
import torch

import torchkeras

LIBRARIES = {"ours": torchkeras, "theirs": keras}
VECTOR, SERIES, LINE, IMAGE, VOLUME = (4,), (5, 6), (8, 2), (8, 8, 3), (4, 4, 4, 2)
FRAMES = (2, 6, 6, 2)
TOKENS = "tokens"  # integers `(2, 5)`
GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
RANGE = {"value_range": (0, 1), "seed": 1}


def pair(make):
    """Call a layer on two inputs, in a list."""
    return lambda k, x: make(k.layers)([x, k.layers.Rescaling(0.5)(x)])


def one(make):
    """Call a layer on the input."""
    return lambda k, x: make(k.layers)(x)


def itself(make):
    """Call a layer on the input twice, as attention to itself."""
    return lambda k, x: make(k.layers)(x, x)


def named(name, *args, **kwargs):
    """Call the layer of that name, made with these arguments, on the input."""
    return lambda k, x: getattr(k.layers, name)(*args, **kwargs)(x)


def _there_and_back(k, x):
    layer = k.layers.ReversibleEmbedding(9, 6, tie_weights=False, mask_zero=True)
    return layer(layer(x), reverse=True)


def _masked(k, x):
    return k.layers.LSTM(2, zero_output_for_mask=True)(k.layers.Masking(0.5)(x))


# Name -> what stands between an input and the result, and the shape of the input; or a list of
# such. `k` is the library, `L` its `layers`.
LAYERS = {
    "Activation": (named("Activation", "gelu"), VECTOR),
    "ActivityRegularization": (named("ActivityRegularization", 0.1, 0.2), VECTOR),
    "AdditiveAttention": (one(lambda L: lambda x: L.AdditiveAttention()([x, x, x])), SERIES),
    "Attention": (pair(lambda L: L.Attention(use_scale=True, score_mode="concat")), SERIES),
    "BatchNormalization": [
        (named("BatchNormalization", renorm=True), SERIES),
        (named("BatchNormalization", axis=1, scale=False), IMAGE),
    ],
    "Bidirectional": (one(lambda L: L.Bidirectional(L.GRU(3), merge_mode="sum")), SERIES),
    "CategoryEncoding": (named("CategoryEncoding", 12, "count"), TOKENS),
    "Dense": [
        (named("Dense", 3, activation="relu", kernel_regularizer="l2"), VECTOR),
        (named("Dense", 3, use_bias=False, bias_constraint="non_neg"), SERIES),
    ],
    "Discretization": (named("Discretization", [0.2, 0.5], output_mode="multi_hot"), VECTOR),
    "Dot": (pair(lambda L: L.Dot(2, normalize=True)), SERIES),
    "EinsumDense": (named("EinsumDense", "btd,dnh->btnh", (5, 2, 3), bias_axes="nh"), SERIES),
    "Embedding": (named("Embedding", 12, 3, mask_zero=True), TOKENS),
    "GRUCell": (one(lambda L: L.RNN(L.GRUCell(3, reset_after=False))), SERIES),
    "GroupNormalization": (named("GroupNormalization", 3), IMAGE),
    "GroupQueryAttention": (itself(lambda L: L.GroupQueryAttention(**GROUPS)), SERIES),
    "Hashing": (named("Hashing", 5, mask_value=3, salt=7), TOKENS),
    "IntegerLookup": (
        named("IntegerLookup", vocabulary=[3, 7], output_mode="tf_idf", idf_weights=[0.5, 2.0]),
        TOKENS,
    ),
    "LSTMCell": (one(lambda L: L.RNN(L.LSTMCell(3, unit_forget_bias=False))), SERIES),
    "LayerNormalization": (named("LayerNormalization", axis=[1, 2]), SERIES),
    "Masking": (_masked, SERIES),
    "MelSpectrogram": (named("MelSpectrogram", 16, 8, num_mel_bins=3, sampling_rate=99), (60,)),
    "MultiHeadAttention": (itself(lambda L: L.MultiHeadAttention(2, 3, use_gate=True)), SERIES),
    "Normalization": (named("Normalization", mean=[0.1] * 6, variance=[0.5] * 6), SERIES),
    "PReLU": (named("PReLU", shared_axes=[1]), SERIES),
    "Pipeline": (one(lambda L: L.Pipeline([L.Rescaling(2.0), L.Resizing(4, 4)])), IMAGE),
    "RNN": (one(lambda L: L.RNN([L.SimpleRNNCell(3), L.GRUCell(2)])), SERIES),
    "ReversibleEmbedding": (_there_and_back, TOKENS),
    "SimpleRNNCell": (one(lambda L: L.RNN(L.SimpleRNNCell(3))), SERIES),
    "SpectralNormalization": (
        one(lambda L: L.SpectralNormalization(L.Dense(3), power_iterations=2)),
        SERIES,
    ),
    "STFTSpectrogram": (named("STFTSpectrogram", "log", 4, padding="same"), LINE),
    "StackedRNNCells": (
        one(lambda L: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(2)]))),
        SERIES,
    ),
    "TimeDistributed": (one(lambda L: L.TimeDistributed(L.Dense(2))), SERIES),
    "ConvLSTM1D": (named("ConvLSTM1D", 3, 2, padding="same"), (2, 6, 2)),
    "ConvLSTM2D": (named("ConvLSTM2D", 3, 2, return_sequences=True), FRAMES),
    "ConvLSTM3D": (named("ConvLSTM3D", 2, 2), (2, *VOLUME)),
}
# Those that are made alike: a name, the arguments, the input's shape.
for _name, _arguments, _shape in [
    *[
        (f"{mode}Pooling{rank}D", {"pool_size": 2}, shape)
        for mode in ("Average", "Max")
        for rank, shape in enumerate((LINE, IMAGE, VOLUME), 1)
    ],
    *[
        (f"Global{mode}Pooling{rank}D", {"keepdims": True}, shape)
        for mode in ("Average", "Max")
        for rank, shape in enumerate((LINE, IMAGE, VOLUME), 1)
    ],
    *[
        (f"Adaptive{mode}Pooling{rank}D", {"output_size": 3}, shape)
        for mode in ("Average", "Max")
        for rank, shape in enumerate((LINE, IMAGE, VOLUME), 1)
    ],
    ("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "causal"}, LINE),
    ("Conv2D", {"filters": 6, "kernel_size": (3, 2), "strides": 2, "groups": 3}, IMAGE),
    ("Conv3D", {"filters": 3, "kernel_size": 2, "use_bias": False}, VOLUME),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}, LINE),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": (3, 2), "padding": "same"}, IMAGE),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 2}, VOLUME),
    ("DepthwiseConv1D", {"kernel_size": 2, "depth_multiplier": 2}, LINE),
    ("DepthwiseConv2D", {"kernel_size": (3, 2), "depth_multiplier": 2}, IMAGE),
    ("SeparableConv1D", {"filters": 3, "kernel_size": 2}, LINE),
    ("SeparableConv2D", {"filters": 2, "kernel_size": (3, 2), "depth_multiplier": 2}, IMAGE),
    ("Cropping1D", {"cropping": 1}, LINE),
    ("Cropping2D", {"cropping": ((1, 2), (0, 1))}, IMAGE),
    ("Cropping3D", {}, VOLUME),
    ("UpSampling1D", {"size": 2}, LINE),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, IMAGE),
    ("UpSampling3D", {}, VOLUME),
    ("ZeroPadding1D", {"padding": (1, 2)}, LINE),
    ("ZeroPadding2D", {"padding": ((1, 2), (0, 1))}, IMAGE),
    ("ZeroPadding3D", {}, VOLUME),
    ("AlphaDropout", {"rate": 0.3, "seed": 1}, VECTOR),
    ("Dropout", {"rate": 0.3, "noise_shape": (None, 1, None)}, SERIES),
    ("GaussianDropout", {"rate": 0.3, "seed": 1}, VECTOR),
    ("GaussianNoise", {"stddev": 0.3, "seed": 1}, VECTOR),
    ("SpatialDropout1D", {"rate": 0.3}, LINE),
    ("SpatialDropout2D", {"rate": 0.3}, IMAGE),
    ("SpatialDropout3D", {"rate": 0.3}, VOLUME),
    ("ELU", {"alpha": 0.5}, VECTOR),
    ("Flatten", {}, IMAGE),
    ("GRU", {"units": 3, "return_sequences": True}, SERIES),
    ("Identity", {}, VECTOR),
    ("LSTM", {"units": 3, "go_backwards": True}, SERIES),
    ("LeakyReLU", {"negative_slope": 0.1}, VECTOR),
    ("Permute", {"dims": (2, 1)}, SERIES),
    ("RMSNormalization", {"epsilon": 0.1}, SERIES),
    ("ReLU", {"max_value": 0.5, "threshold": 0.2}, VECTOR),
    ("RepeatVector", {"n": 3}, VECTOR),
    ("Rescaling", {"scale": 2.0, "offset": 0.5}, IMAGE),
    ("Reshape", {"target_shape": (2, -1)}, VECTOR),
    ("SimpleRNN", {"units": 3}, SERIES),
    ("Softmax", {"axis": 1}, SERIES),
    ("UnitNormalization", {"axis": 1}, SERIES),
    # Images, as they are in inference.
    ("AugMix", {"num_chains": 2, **RANGE}, IMAGE),
    ("AutoContrast", {"value_range": (0, 1)}, IMAGE),
    ("CenterCrop", {"height": 4, "width": 5}, IMAGE),
    (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"value_range": (0, 1), "tile_grid_size": (2, 3)},
        IMAGE,
    ),
    ("CutMix", {"factor": 0.5, "seed": 1}, IMAGE),
    ("MaxNumBoundingBoxes", {"max_number": 3}, IMAGE),
    ("MixUp", {"alpha": 0.3, "seed": 1}, IMAGE),
    ("RandAugment", {"num_ops": 1, **RANGE}, IMAGE),
    ("RandomBrightness", {"factor": 0.3, **RANGE}, IMAGE),
    ("RandomColorDegeneration", {"factor": 0.3, **RANGE}, IMAGE),
    ("RandomColorJitter", {"brightness_factor": 0.3, "hue_factor": 0.3, **RANGE}, IMAGE),
    ("RandomContrast", {"factor": 0.3, **RANGE}, IMAGE),
    ("RandomCrop", {"height": 4, "width": 5, "seed": 1}, IMAGE),
    ("RandomElasticTransform", {**RANGE}, IMAGE),
    ("RandomErasing", {"factor": 0.5, **RANGE}, IMAGE),
    ("RandomFlip", {"mode": "vertical", "seed": 1}, IMAGE),
    ("RandomGaussianBlur", {"kernel_size": 5, **RANGE}, IMAGE),
    ("RandomGrayscale", {"factor": 0.3}, IMAGE),  # Keras keeps no seed of it
    ("RandomHue", {"factor": 0.3, **RANGE}, IMAGE),
    ("RandomInvert", {"factor": 0.3, **RANGE}, IMAGE),
    ("RandomPerspective", {"scale": 0.5, "seed": 1}, IMAGE),
    ("RandomPosterization", {"factor": 4, **RANGE}, IMAGE),
    ("RandomRotation", {"factor": 0.3, "fill_mode": "nearest", "seed": 1}, IMAGE),
    ("RandomSaturation", {"factor": 0.3, **RANGE}, IMAGE),
    ("RandomSharpness", {"factor": 0.3, **RANGE}, IMAGE),
    (
        "RandomShear",
        {"x_factor": (0.1, 0.3), "y_factor": (0.1, 0.2)},
        IMAGE,
    ),  # 0.3 Keras cannot read again
    ("RandomTranslation", {"height_factor": 0.3, "width_factor": 0.2, "seed": 1}, IMAGE),
    ("RandomZoom", {"height_factor": 0.3, "seed": 1}, IMAGE),
    ("Resizing", {"height": 4, "width": 5, "crop_to_aspect_ratio": True}, IMAGE),
    ("Solarization", {"addition_factor": 0.2, "threshold_factor": 0.1, **RANGE}, IMAGE),
]:
    LAYERS[_name] = (named(_name, **_arguments), _shape)
for _name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"):
    LAYERS[_name] = (pair(lambda L, name=_name: getattr(L, name)()), SERIES)

# Layers that Keras on torch cannot put into a model: the layers alone are compared.
WORDS = np.array([["a", "b c"], ["b", "zz"]])
ALONE = {
    "StringLookup": ({"vocabulary": ["a", "b"], "num_oov_indices": 2}, WORDS),
    "TextVectorization": (
        {"vocabulary": ["a", "b", "c"], "ngrams": 2, "output_sequence_length": 3},
        WORDS[:, 1],
    ),
    "Equalization": ({"value_range": (0, 1)}, np.linspace(0, 1, 48).reshape(1, 4, 4, 3)),
    "HashedCrossing": ({"num_bins": 7, "output_mode": "one_hot"}, (WORDS[:, 0], WORDS[:, 1])),
}

NO_LINE = {
    "Input": "a function; each model here has one",
    "InputLayer": "each model here has one",
    "InputSpec": "no layer",
    "Layer": "abstract",
    "Wrapper": "abstract",
    "JaxLayer": "cannot be made",
    "FlaxLayer": "cannot be made",
    "TFSMLayer": "cannot be made",
    "Lambda": "code in files, which test_layers_core.py is about",
    "TorchModuleWrapper": "Keras writes it as a pickle, which is never loaded",
}


def test_the_table_is_complete():
    classes = {name: cls for name, cls in vars(keras.layers).items() if isinstance(cls, type)}
    known = {*LAYERS, *ALONE}
    lines = {getattr(keras.layers, name) for name in known}
    missing = {name for name, cls in classes.items() if cls not in lines} - set(NO_LINE)
    assert missing == set(), "add a line to the table in this file"
    assert known | set(NO_LINE) - {"Input"} <= set(classes), "these no longer exist"
    assert known.isdisjoint(NO_LINE)


def build(library, line):
    make, shape = line
    library.utils.clear_session(free_memory=False)
    library.utils.set_random_seed(0)
    tokens = shape is TOKENS
    x = library.Input((5,) if tokens else shape, dtype="int64" if tokens else "float32")
    model = library.Model(x, make(library, x))
    # Not the first values, so that a weight read in another place shows.
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            variable.assign(rng.uniform(0.5, 1.5, tuple(variable.shape)).astype("float32"))
    return model


def example(shape):
    rng = np.random.default_rng(2)
    if shape is TOKENS:
        return torch.tensor(rng.integers(1, 9, (2, 5)))
    return torch.tensor(rng.uniform(0, 1, (2, *shape)).astype("float32"))


def outputs_of(model, x):
    return model(x, training=False).detach()


def variables_of(model):
    return [
        (v.path, tuple(v.shape), str(v.dtype).removeprefix("torch."))
        for v in model.variables
        if "seed_generator" not in v.path  # of Keras's layers whose seeds are numbered
    ]


LINES = [
    pytest.param(line, id=name if i == 0 else f"{name}-{i}")
    for name, lines in LAYERS.items()
    for i, line in enumerate(lines if isinstance(lines, list) else [lines])
]


@pytest.mark.parametrize("line", LINES)
def test_files(tmp_path, line):
    models = {side: build(library, line) for side, library in LIBRARIES.items()}
    ours, theirs = models["ours"], models["theirs"]
    assert variables_of(ours) == variables_of(theirs)
    assert ours.compute_output_shape(ours.input_shape) == theirs.output_shape
    x = example(line[1])
    expected = outputs_of(theirs, x)
    torch.testing.assert_close(outputs_of(ours, x), expected, rtol=2e-5, atol=2e-6)
    for writer, reader in (("ours", "theirs"), ("theirs", "ours")):
        file = str(tmp_path / f"{writer}.keras")
        models[writer].save(file)
        loaded = LIBRARIES[reader].saving.load_model(file)
        torch.testing.assert_close(outputs_of(loaded, x), expected, rtol=2e-5, atol=2e-6)
        assert comparable(loaded) == comparable(models[reader])
        if not models[writer].weights:
            continue
        file = str(tmp_path / f"{writer}.weights.h5")
        models[writer].save_weights(file)
        for variable in loaded.weights:
            variable.assign(np.zeros(tuple(variable.shape)))
        loaded.load_weights(file)
        torch.testing.assert_close(outputs_of(loaded, x), expected, rtol=2e-5, atol=2e-6)


# How many axes a mask has, where more than those of samples and steps.
MASK_AXES = {"Softmax": 3, "BatchNormalization-1": 3}
# Their queries that may see nothing give Keras gradients which finite differences contradict;
# tests/layers/test_attention.py and test_layers_attention.py have those of masks otherwise.
WRONG_IN_KERAS = ("MultiHeadAttention", "GroupQueryAttention")


@pytest.mark.filterwarnings("ignore:.*does not support masking", "ignore:Tensor.T is deprecated")
@pytest.mark.parametrize("line", LINES)
def test_gradients_and_masks(line, request):
    """Outputs, gradients and masks for a mask that comes in with the data."""
    name = request.node.callspec.id
    both = [gradients_and_mask(k, line, MASK_AXES.get(name, 2)) for k in LIBRARIES.values()]
    (values, mask), (expected, expected_mask) = both
    assert list(values) == list(expected)
    for key, value in expected.items():
        if key == "output" or name not in WRONG_IN_KERAS:
            torch.testing.assert_close(
                values[key], value, rtol=1e-4, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}"
            )
    torch.testing.assert_close(mask, expected_mask)


def gradients_and_mask(library, line, mask_axes):
    """Call a model with a mask; return the output and gradients by name, and the output's mask."""
    model, x = build(library, line), example(line[1])
    mask = None
    if x.dim() > 2 or line[1] is TOKENS:
        mask = torch.arange(x.shape[1]) < torch.tensor([[x.shape[1]], [2]])
        while mask.dim() < mask_axes:
            mask = mask[..., None].expand(x.shape[: mask.dim() + 1])
    if x.is_floating_point():
        x.requires_grad_()
    outputs = model(x, training=False, mask=mask)
    values = {"output": outputs.detach()}
    if outputs.requires_grad:
        (outputs * torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)).sum().backward()
        values["input"] = x.grad
        for variable in model.trainable_variables:
            weight = variable if isinstance(variable, torch.Tensor) else variable.value
            values[variable.path] = weight.grad
    return values, getattr(outputs, "_keras_mask", None)


def comparable(model):
    """A model's config as text, without the shapes that layers inside of others are built with."""
    configs = [layer.get_config() for layer in model.layers]
    text = json.dumps(configs, default=repr, sort_keys=True)
    return re.sub(r'"build_config": {[^}]*}', "", text)


@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")
@pytest.mark.parametrize("name", ALONE)
def test_layers_alone(tmp_path, name):
    arguments, x = ALONE[name]
    made = {side: getattr(k.layers, name)(**arguments) for side, k in LIBRARIES.items()}
    expected = np.asarray(made["theirs"](x))
    np.testing.assert_array_equal(made["ours"](x), expected)
    for writer, reader in (("ours", "theirs"), ("theirs", "ours")):
        config = LIBRARIES[writer].saving.serialize_keras_object(made[writer])
        config = json.loads(json.dumps(config))
        loaded = LIBRARIES[reader].saving.deserialize_keras_object(config)
        np.testing.assert_array_equal(np.asarray(loaded(x)), expected)


LEGACY = ("Attention", "MultiHeadAttention", "SpectralNormalization", "ReversibleEmbedding", "RNN")


@pytest.mark.parametrize("writer", LIBRARIES)
@pytest.mark.parametrize("name", [*LEGACY, "Conv2D", "BatchNormalization", "Bidirectional"])
def test_legacy_files(tmp_path, name, writer):
    line = LAYERS[name][0] if isinstance(LAYERS[name], list) else LAYERS[name]
    model, x = build(LIBRARIES[writer], line), example(line[1])
    model.save(str(tmp_path / "m.h5"))
    reader = "theirs" if writer == "ours" else "ours"
    loaded = LIBRARIES[reader].saving.load_model(str(tmp_path / "m.h5"))
    torch.testing.assert_close(outputs_of(loaded, x), outputs_of(model, x), rtol=2e-5, atol=2e-6)


def test_safetensors(tmp_path):
    """The kernel that a `SpectralNormalization` shares with the layer inside is stored too."""
    model = build(torchkeras, LAYERS["SpectralNormalization"])
    x = torch.randn(2, 5, 6)
    model.save(str(tmp_path / "m.safetensors"))
    loaded = torchkeras.saving.load_model(str(tmp_path / "m.safetensors"))
    torch.testing.assert_close(loaded(x), model(x))
    assert loaded.layers[-1].kernel is loaded.layers[-1].layer.kernel
