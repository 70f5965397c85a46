"""Merging layers and their functions against Keras."""

import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_error,
    assert_same_output_shape,
    compare_layer,
    make_pair,
    random_input,
)

ELEMENTWISE = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
SHAPES = [
    [(2, 3), (2, 3)],
    [(2, 3, 4), (2, 3, 4)],
    [(2, 3, 4), (2, 1, 4)],
    [(2, 3, 4), (2, 4)],
    [(2, 4), (2, 3, 4)],
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, shapes):
    unknown = [(None, *shape[1:]) for shape in shapes]
    compare_layer(name, {}, shapes, output_shapes=[shapes, unknown])


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "Subtract"])
def test_three_inputs(name):
    compare_layer(name, {}, [(2, 3)] * 3)


@pytest.mark.parametrize("name", ["Add", "Multiply", "Average", "Maximum", "Concatenate"])
def test_one_input(name):
    compare_layer(name, {}, [(2, 3)])


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("name", [*ELEMENTWISE, "Concatenate"])
def test_dtypes(name, dtype):
    if dtype == "float64" and name in ("Maximum", "Minimum"):
        pytest.skip("Keras rounds these to float32")
    compare_layer(name, {"dtype": dtype}, [(2, 3), (2, 3)])


@pytest.mark.parametrize("name", ["Add", "Multiply", "Maximum", "Concatenate"])
def test_integer_inputs(name):
    compare_layer(name, {}, [(2, 3), (2, 3)], input_dtype="int32")


@pytest.mark.parametrize("masks", ["both", "first", "second"])
@pytest.mark.parametrize("name", [*ELEMENTWISE, "Concatenate"])
def test_masks(name, masks):
    results = []
    for layer in make_pair(name, {"axis": 1} if name == "Concatenate" else {}):
        inputs = [torch.tensor(random_input((2, 3, 4), seed=i)) for i in (1, 2)]
        for i, x in enumerate(inputs):
            if masks in ("both", ("first", "second")[i]):
                x._keras_mask = torch.tensor(random_input((2, 3), "bool", seed=10 + i))
        output = layer(inputs)
        results.append((output, getattr(output, "_keras_mask", None)))
    assert_close(*results)


@pytest.mark.parametrize("name", ["Multiply", "Maximum", "Minimum"])
@pytest.mark.parametrize("known", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_three_masks(name, known):
    results = []
    for layer in make_pair(name):
        inputs = [torch.tensor(random_input((2, 3, 4), seed=i)) for i in range(3)]
        for i in known:
            inputs[i]._keras_mask = torch.tensor(random_input((2, 3), "bool", seed=10 + i))
        output = layer(inputs)
        results.append((output, getattr(output, "_keras_mask", None)))
    assert_close(*results)


CONCATENATE = [
    (-1, [(2, 3), (2, 5)]),
    (1, [(2, 3, 4), (2, 2, 4), (2, 1, 4)]),
    (-2, [(2, 3, 4), (2, 2, 4)]),
    (0, [(2, 3), (1, 3)]),
    (2, [(2, 3, 4), (2, 3, 1)]),
]


@pytest.mark.parametrize(("axis", "shapes"), CONCATENATE, ids=str)
def test_concatenate(axis, shapes):
    unknown = [(None, *shape[1:]) for shape in shapes]
    compare_layer(
        "Concatenate",
        {"axis": axis},
        shapes,
        output_shapes=[shapes, unknown],
        symbolic=axis != 0,
    )


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("mask", [("m", "m"), ("m", None), (None, "m"), (None, None)], ids=str)
def test_concatenate_compute_mask(axis, mask):
    results = []
    for layer in make_pair("Concatenate", {"axis": axis}):
        inputs = [torch.ones(2, 3, 4), torch.ones(2, 3, 4)]
        masks = [
            None if m is None else torch.tensor(random_input((2, 3), "bool", seed=i))
            for i, m in enumerate(mask)
        ]
        results.append(layer.compute_mask(inputs, masks))
    assert_close(*results)


DOT = [
    (1, [(2, 3), (2, 3)]),
    (-1, [(2, 3), (2, 3)]),
    (1, [(2, 3, 4), (2, 3, 5)]),
    (2, [(2, 3, 4), (2, 5, 4)]),
    ((1, 2), [(2, 3, 4), (2, 5, 3)]),
    ([2, 1], [(2, 3, 4), (2, 4, 5)]),
    ((-1, -2), [(2, 3, 4), (2, 4, 5)]),
    ((1, 1), [(2, 3), (2, 3, 5)]),
    ((2, 1), [(2, 3, 4), (2, 4)]),
    ((3, 1), [(2, 3, 5, 4), (2, 4, 2)]),
    ((1, 2), [(2, 3, 5), (2, 4, 3, 6)]),
]


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("axes", "shapes"), DOT, ids=str)
def test_dot(axes, shapes, normalize):
    compare_layer("Dot", {"axes": axes, "normalize": normalize}, shapes, output_shapes=[shapes])


@pytest.mark.parametrize("width", [1, 2])
def test_dot_normalizes_whole_numbers(width):
    whole = np.arange(3**width, dtype="int32").reshape((1, *(3,) * width))
    floats = random_input((1, *(3,) * width))
    assert_close(*make_pair(lambda k: k.layers.Dot(1, normalize=True)([floats, whole])))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "average", "maximum", "minimum"])
def test_functions(name):
    inputs = [random_input((2, 3), seed=i) for i in (1, 2)]
    ours, theirs = make_pair(lambda k: getattr(k.layers, name)(inputs))
    assert_close(ours, theirs)


def test_functions_with_arguments():
    inputs = [random_input((2, 3), seed=i) for i in (1, 2)]
    assert_close(*make_pair(lambda k: k.layers.concatenate(inputs, axis=0)))
    assert_close(*make_pair(lambda k: k.layers.dot(inputs, axes=1, normalize=True)))


def test_functions_of_symbols():
    def shape(k):
        a, b = k.Input(shape=(3,)), k.Input(shape=(4,))
        return k.layers.concatenate([a, b], name="joined")

    ours, theirs = make_pair(shape)
    assert ours.shape == theirs.shape == (None, 7)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Add()(torch.ones(2, 3)),
        lambda k: k.layers.Add()(k.Input(shape=(3,))),
        lambda k: k.layers.Add()([torch.ones(2, 3), torch.ones(2, 4)]),
        lambda k: k.layers.Add()([torch.ones(2, 3), torch.ones(4, 3)]),
        lambda k: k.layers.Add()([k.Input(shape=(3,)), k.Input(shape=(4,))]),
        lambda k: k.layers.Subtract()([torch.ones(2, 3)] * 3),
        lambda k: k.layers.Subtract()([torch.ones(2, 3)]),
        lambda k: k.layers.Concatenate()(torch.ones(2, 3)),
        lambda k: k.layers.Concatenate(axis=-1)([torch.ones(2, 3, 4), torch.ones(2, 5, 4)]),
        lambda k: k.layers.Concatenate(axis=-1)([k.Input(shape=(3, 4)), k.Input(shape=(5, 4))]),
        lambda k: k.layers.Concatenate()([torch.ones(2, 3), torch.ones(2, 3, 4)]),
        lambda k: k.layers.Dot(axes="a"),
        lambda k: k.layers.Dot(axes=(1, 2, 3)),
        lambda k: k.layers.Dot(axes=(1, "a")),
        lambda k: k.layers.Dot(axes=1)([torch.ones(2, 3), torch.ones(2, 4)]),
        lambda k: k.layers.Dot(axes=1)([torch.ones(2, 3)] * 3),
        lambda k: k.layers.Dot(axes=0)([torch.ones(2, 3)] * 2),
        lambda k: k.layers.Add().compute_mask([torch.ones(2)], torch.ones(2)),
        lambda k: k.layers.Add().compute_mask([torch.ones(2)], [torch.ones(2)] * 2),
        lambda k: k.layers.Concatenate().compute_mask(torch.ones(2), [torch.ones(2)] * 2),
    ],
)
def test_errors(action):
    assert_same_error(action)


def test_unknown_sizes():
    for name in ("Add", "Concatenate"):
        ours, theirs = make_pair(name)
        assert_same_output_shape(
            ours, theirs, [(None, None), (None, 3)], [(None, 3, None), (2, 3, 4)]
        )


def test_numpy_inputs():
    inputs = [np.ones((2, 3), "float32")] * 2
    assert_close(*(layer(inputs) for layer in make_pair("Add")))


def test_dot_of_unit_vectors_in_half_precision():
    inputs = [np.array([[1.0, 2.0], [3.0, -0.5]], "float16")] * 2
    ours, theirs = make_pair("Dot", {"axes": 1, "normalize": True, "dtype": "float16"})
    assert_close(ours(inputs), theirs(inputs))
    assert ours([np.zeros((1, 2), "float16")] * 2).item() == 0.0  # Keras: NaN
