"""Normalization layers against Keras."""

import warnings

import numpy as np
import pytest
import torch
from oracle import assert_close, assert_same_error, compare_layer, make_pair, random_input, run

import torchkeras

SHAPES = [((4, 3), -1), ((4, 5, 3), -1), ((4, 5, 3), 1), ((2, 4, 5, 3), -1), ((2, 4, 5, 3), 1)]
SHAPES += [((2, 4, 5, 3), 2), ((2, 3, 4, 2, 3), -1), ((2, 3, 4, 2, 3), 1), ((4, 3), 0)]
VARIANTS = [
    {},
    {"momentum": 0.5, "epsilon": 1e-2},
    {"center": False},
    {"scale": False},
    {"center": False, "scale": False},
    {
        "beta_initializer": "ones",
        "gamma_initializer": {"class_name": "RandomUniform", "config": {"seed": 1}},
        "moving_mean_initializer": "ones",
        "gamma_regularizer": "l2",
        "beta_constraint": "non_neg",
    },
    {"trainable": False},
]


# Keras computes the variance as E[x^2] - E[x]^2, which cancels: hence the bound on gradients.
BOUND = {"rtol": 1e-4, "atol": 2e-5}


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("training", [None, True])
def test_batch_normalization_axes(shape, axis, training):
    compare_layer(
        "BatchNormalization",
        {"axis": axis},
        shape,
        training=training,
        calls=3,
        output_shapes=[shape, (None, *shape[1:]), (2,)],
        symbolic=axis != 0,
        **BOUND,
    )


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
def test_batch_normalization_arguments(kwargs, training, shape):
    compare_layer("BatchNormalization", kwargs, shape, training=training, calls=3, **BOUND)


def test_one_sample():
    compare_layer("BatchNormalization", {}, (1, 3), training=True, calls=2, **BOUND)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"]
)
@pytest.mark.parametrize("shape", [(8, 3), (2, 4, 5, 3)])
def test_batch_normalization_dtypes(shape, dtype, training):
    bound = BOUND if dtype == "float64" else {}
    compare_layer(
        "BatchNormalization", {"dtype": dtype}, shape, training=training, calls=2, **bound
    )


@pytest.mark.parametrize("input_dtype", ["int32", "float64", "float16"])
def test_batch_normalization_input_dtypes(input_dtype):
    compare_layer("BatchNormalization", {}, (8, 3), input_dtype=input_dtype, training=True, **BOUND)


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 3)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["some", "none", "all"])
def test_batch_normalization_mask(shape, training, kind):
    mask = random_input(shape[:-1], "bool", seed=4)
    mask[...] = mask if kind == "some" else kind == "all"
    compare_layer("BatchNormalization", {}, shape, training=training, mask=mask, calls=2, **BOUND)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(8, 3), (2, 4, 5, 3)])
@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"renorm_clipping": {"rmax": 1.1, "rmin": 0.9, "dmax": 0.1}},
        {"renorm_clipping": {"rmax": 1.1}, "renorm_momentum": 0.5, "momentum": 0.7},
        {"renorm_clipping": {"dmax": 0.1}, "center": False, "scale": False},
        {"moving_variance_initializer": "ones", "epsilon": 0.1},
    ],
    ids=str,
)
def test_renorm(kwargs, shape, training):
    kwargs = {"renorm": True, **kwargs}
    compare_layer("BatchNormalization", kwargs, shape, training=training, calls=3, **BOUND)


def test_freezing_means_inference():
    x = random_input((8, 3))
    results = []
    for layer in make_pair("BatchNormalization"):
        run(layer, x, training=True)
        layer.trainable = False
        results.append((run(layer, x, training=True).outputs, layer.moving_mean))
        layer.trainable = True
        results[-1] += (run(layer, x, training=True).outputs,)
    assert_close(*results, **BOUND)


def test_long_training_does_not_drift():
    rng = np.random.default_rng(0)
    ours, theirs = make_pair("BatchNormalization", {"momentum": 0.9})
    for _ in range(200):
        x = rng.normal(3, 2, (32, 4)).astype("float32")
        for layer in (ours, theirs):
            run(layer, x, gradients=False, training=True)
    assert_close(ours.weights, theirs.weights, rtol=1e-5)


def test_synchronized_on_one_rank_changes_nothing():
    """Keras on torch refuses the argument; files made with it on TensorFlow hold it."""
    ours, theirs = (
        torchkeras.layers.BatchNormalization(synchronized=True),
        make_pair("BatchNormalization")[1],
    )
    config = {**theirs.get_config(), "synchronized": True, "name": ours.name}
    assert ours.get_config() == config
    x = random_input((8, 3))
    for _ in range(2):
        results = [run(layer, x, training=True) for layer in (ours, theirs)]
        assert_close(results[0].outputs, results[1].outputs, **BOUND)
        assert_close(results[0].weight_grads, results[1].weight_grads, **BOUND)
    assert_close(ours.weights, theirs.weights, **BOUND)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.BatchNormalization(axis="a"),
        lambda k: k.layers.BatchNormalization(renorm=True, renorm_clipping={"r": 1}),
        lambda k: k.layers.BatchNormalization(renorm=True, renorm_clipping={"rmax": 1, "rmin": 2}),
        lambda k: k.layers.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1}),
        lambda k: k.layers.BatchNormalization()(torch.ones(2, 3), mask=torch.ones(2, 3)),
        lambda k: k.layers.BatchNormalization(axis=3).compute_output_shape((2, 3)),
        lambda k: _built(k.layers.BatchNormalization())(torch.ones(2, 4)),
        lambda k: _built(k.layers.BatchNormalization())(torch.ones(2, 3, 3)),
        lambda k: k.layers.BatchNormalization(no_such=1),
        lambda k: k.layers.LayerNormalization(axis="a"),
        lambda k: k.layers.LayerNormalization(axis=None),
        lambda k: k.layers.LayerNormalization(axis=3).compute_output_shape((2, 3)),
    ],
)
def test_errors(action):
    assert_same_error(action)


def _built(layer):
    layer(torch.ones(2, 3))
    return layer


# LayerNormalization ------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 2, [-1], [1, 2], (-2, -1), [2, 1], [0, 1, 2]])
def test_layer_normalization_axes(axis):
    symbolic = not isinstance(axis, list) or 0 not in axis
    shapes = [(None, 3, 4)]
    compare_layer(
        "LayerNormalization",
        {"axis": axis},
        (2, 3, 4),
        output_shapes=shapes,
        symbolic=symbolic,
        **BOUND,
    )


@pytest.mark.parametrize("axis", [[0, 2], [1, 3]])
def test_layer_normalization_of_separate_axes(axis):
    symbolic = 0 not in axis
    compare_layer("LayerNormalization", {"axis": axis}, (3, 3, 4, 4), symbolic=symbolic, **BOUND)


@pytest.mark.parametrize("axis", [1, [1], [1, 2], -2])
def test_inner_axes_which_keras_gets_wrong(axis):
    # Keras on torch passes these axes to a kernel for the last ones.
    layer = torchkeras.layers.LayerNormalization(axis=axis, epsilon=0.1)
    x = torch.randn(2, 3, 4, 5)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    torch.testing.assert_close(layer(x), (x - mean) / torch.sqrt(variance + 0.1))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"center": False},
        {"scale": False},
        {"center": False, "scale": False},
        {"epsilon": 0.1, "gamma_initializer": "glorot_uniform", "axis": [1, 2]},
        {"beta_initializer": "ones", "gamma_regularizer": "l1", "beta_constraint": "unit_norm"},
    ],
    ids=str,
)
def test_layer_normalization_arguments(kwargs):
    compare_layer("LayerNormalization", kwargs, (2, 3, 4), **BOUND)


def test_rms_scaling():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kwargs in ({}, {"axis": [1, 2]}, {"scale": False}):
            compare_layer("LayerNormalization", {"rms_scaling": True, **kwargs}, (2, 3, 4), **BOUND)


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"]
)
@pytest.mark.parametrize("axis", [-1, [1, 3]])
def test_layer_normalization_dtypes(dtype, axis):
    bound = BOUND if dtype == "float64" else {}
    compare_layer("LayerNormalization", {"dtype": dtype, "axis": axis}, (2, 3, 4, 2), **bound)


@pytest.mark.parametrize("input_dtype", ["float64", "float16"])
def test_layer_normalization_input_dtypes(input_dtype):
    # Keras rounds the result to the dtype of the input before it returns float32.
    bound = {"rtol": 1e-3, "atol": 1e-3} if input_dtype == "float16" else BOUND
    compare_layer("LayerNormalization", {}, (2, 3, 4), input_dtype=input_dtype, **bound)


def test_layer_normalization_of_integers_which_keras_truncates():
    layer = torchkeras.layers.LayerNormalization()
    x = torch.tensor([[1, 5, 2]])
    assert_close(layer(x), layer(x.float()))


# GroupNormalization ------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 3, 6, -1])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((2, 6), -1),
        ((2, 5, 6), -1),
        ((2, 6, 5), 1),
        ((2, 4, 5, 6), -1),
        ((2, 6, 4, 5), 1),
        ((2, 4, 6, 5), -2),
        ((2, 4, 6, 5), 2),
        ((2, 3, 4, 2, 6), -1),
        ((1, 6), -1),
    ],
    ids=str,
)
def test_group_normalization_axes(shape, axis, groups):
    compare_layer(
        "GroupNormalization",
        {"groups": groups, "axis": axis},
        shape,
        output_shapes=[shape, (None, *shape[1:]), (2,)],
        **BOUND,
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"center": False},
        {"scale": False},
        {"center": False, "scale": False, "epsilon": 0.1},
        {"beta_initializer": "ones", "gamma_regularizer": "l1", "beta_constraint": "unit_norm"},
        {"gamma_initializer": {"class_name": "RandomUniform", "config": {"seed": 1}}},
        *({"dtype": dtype} for dtype in ("float64", "float16", "bfloat16", "mixed_float16")),
        {"dtype": "mixed_bfloat16"},
    ],
    ids=str,
)
def test_group_normalization_arguments(kwargs):
    half = "16" in kwargs.get("dtype", "")
    compare_layer(
        "GroupNormalization", {"groups": 2, **kwargs}, (2, 4, 3, 6), **({} if half else BOUND)
    )


# RMSNormalization --------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 2, [-1], [1, 2], (-2, -1), [2, 1]], ids=str)
def test_rms_normalization_axes(axis):
    compare_layer(
        "RMSNormalization", {"axis": axis}, (2, 3, 4), output_shapes=[(None, 3, 4)], **BOUND
    )


@pytest.mark.parametrize("axis", [1, -2, [1, 3], [0, 2]], ids=str)
def test_rms_normalization_of_other_axes(axis):
    layer = torchkeras.layers.RMSNormalization(axis=axis, epsilon=0.1)
    x = torch.randn(2, 3, 4, 5)
    layer.build(x.shape)
    layer.scale.assign(torch.rand(layer.scale.shape))
    axes = sorted(i % 4 for i in ([axis] if isinstance(axis, int) else axis))
    scale = layer.scale.reshape([n if i in axes else 1 for i, n in enumerate(x.shape)])
    expected = x / torch.sqrt(x.square().mean(axes, keepdim=True) + 0.1) * scale
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"]
)
def test_rms_normalization_dtypes(dtype):
    bound = BOUND if dtype in ("float32", "float64") else {}
    compare_layer("RMSNormalization", {"dtype": dtype, "epsilon": 0.01}, (2, 3, 4), **bound)


# UnitNormalization -------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 1, [1, 2], (1, -1), [0, 1]], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float16"])
def test_unit_normalization(axis, dtype):
    compare_layer(
        "UnitNormalization",
        {"axis": axis, "dtype": dtype},
        (2, 3, 4),
        output_shapes=[(None, 3, 4), (3,)],
    )


def test_unit_normalization_of_zeros():
    """Keras's gradient there is NaN."""
    x = torch.zeros(2, 3, requires_grad=True)
    y = torchkeras.layers.UnitNormalization()(x)
    y.sum().backward()
    assert not y.any() and x.grad.isfinite().all()


# SpectralNormalization ---------------------------------------------------------------------------


@pytest.mark.parametrize("power_iterations", [1, 4])
@pytest.mark.parametrize("training", [None, False, True])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda k: k.layers.Dense(3, activation="relu", name="inner"), (2, 4)),
        (lambda k: k.layers.Conv2D(3, 2, name="inner"), (2, 5, 5, 4)),
        (lambda k: k.layers.EinsumDense("abc,cde->abde", (None, 2, 3), name="inner"), (2, 3, 4)),
    ],
    ids=["dense", "conv", "einsum"],
)
def test_spectral_normalization(make, shape, training, power_iterations):
    def wrapped(library):
        return library.layers.SpectralNormalization(make(library), power_iterations, name="layer")

    ours, _ = compare_layer(wrapped, None, shape, training=training, calls=3)
    assert ours.kernel is ours.layer.kernel


def test_spectral_normalization_of_embeddings_and_zeros():
    x = np.array([[1.0, 2.0], [4.0, 0.0]], "float32")

    def wrapped(library):
        inner = library.layers.Embedding(5, 3, name="inner")
        return library.layers.SpectralNormalization(inner, name="layer")

    compare_layer(wrapped, None, inputs=x, training=True, calls=2)
    for layer in make_pair(
        lambda k: k.layers.SpectralNormalization(k.layers.Dense(2, kernel_initializer="zeros"))
    ):
        assert not run(layer, x, training=True).outputs.any()
        assert layer.vector_u.numpy().all()


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (lambda k: k.layers.GroupNormalization(groups=0), "argument `groups`"),
        (lambda k: k.layers.GroupNormalization(groups=2.5), "argument `groups`"),
        (lambda k: k.layers.GroupNormalization(2).build((2, None)), "defined dimension"),
        (lambda k: k.layers.GroupNormalization(4).build((2, 3)), "more than the number"),
        (lambda k: k.layers.GroupNormalization(2).build((2, 3)), "be a multiple"),
        (lambda k: k.layers.GroupNormalization(axis=3).compute_output_shape((2, 3)), "axis"),
        (lambda k: k.layers.RMSNormalization(axis=3).compute_output_shape((2, 3)), "axis"),
        (lambda k: k.layers.UnitNormalization(axis="a"), "list/tuple of ints"),
        (lambda k: k.layers.UnitNormalization(axis=2).compute_output_shape((2, 3)), "axis"),
        (lambda k: k.layers.SpectralNormalization(k.layers.Dense(2), 0), "power_iterations"),
        (lambda k: k.layers.SpectralNormalization(k.layers.ReLU()).build((2, 3)), "'kernel'"),
        (lambda k: k.layers.SpectralNormalization("Dense"), "layer"),
    ],
)
def test_errors_of_the_others(action, match):
    assert_same_error(action, match)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("BatchNormalization", {}),
        ("LayerNormalization", {}),
        ("GroupNormalization", {"groups": 2}),
        ("UnitNormalization", {}),
    ],
)
def test_masks_pass_through(name, kwargs):
    for layer in make_pair(name, kwargs):
        x = torch.ones(2, 3, 4)
        x._keras_mask = torch.tensor([[True, False, True]] * 2)
        assert layer(x)._keras_mask.tolist() == [[True, False, True]] * 2
