"""Ops against Keras on torch: eager, symbolic, and through files in both directions."""

import inspect
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from oracle import assert_close, assert_same_error

import torchkeras
from torchkeras import ops
from torchkeras.graph.operation import OPERATIONS
from torchkeras.models import model_from_json

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ops"))
from op_cases import CASES, b, f, i, p  # noqa: E402

# Single precision on both sides, summed in other orders.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}
SUBMODULES = ("", "numpy", "nn", "linalg", "image")
# Not written yet.
MISSING = {
    "image": {
        "affine_transform",
        "elastic_transform",
        "gaussian_blur",
        "map_coordinates",
        "perspective_transform",
        "scale_and_translate",
        "sobel_edges",
        "ssim",
    }
}
# Calls that fail in Keras; `tests/ops` compares them with NumPy.
ORACLE_FAILS = ("repeat-f2x3-[1, 0, 2]", "layer_normalization-f2x3x4-f3-axis=1")


def of(library, name):
    """The op of a library under a dotted name."""
    for part in name.split("."):
        library = getattr(library, part)
    return library


def mapped(function, case):
    """The arguments of a case with its arrays replaced."""
    replace = lambda x: function(x) if isinstance(x, np.ndarray) else x  # noqa: E731
    return (
        [_walk(replace, x) for x in case.args],
        {key: _walk(replace, x) for key, x in case.kwargs.items()},
    )


def _walk(function, x):
    return type(x)(_walk(function, item) for item in x) if type(x) in (list, tuple) else function(x)


@pytest.mark.parametrize("module", SUBMODULES)
def test_names(module):
    ours, theirs = (getattr(o, module) if module else o for o in (ops, keras.ops))
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert set(ours.__all__) == names - MISSING.get(module, set())
    assert all(hasattr(ours, name) for name in ours.__all__)


@pytest.mark.parametrize("module", SUBMODULES)
def test_signatures(module):
    ours, theirs = (getattr(o, module) if module else o for o in (ops, keras.ops))
    for name in ours.__all__:
        if not inspect.isfunction(getattr(theirs, name)) or name == "einsum":
            continue
        a, b = (
            [(q.name, q.default, q.kind) for q in inspect.signature(fn).parameters.values()]
            for fn in (getattr(ours, name), getattr(theirs, name))
        )
        assert a == b, name


def test_operation_classes_have_keras_names_and_arguments():
    for path, cls in OPERATIONS.items():
        module, _, name = path.rpartition(".")
        if not module.startswith("keras.src.ops"):
            continue
        theirs = getattr(sys.modules[module], name)
        expected = set(inspect.signature(theirs.__init__).parameters) - {"self", "name", "kwargs"}
        assert set(cls.config_parameters) == expected, path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_eager(case):
    if case.id.startswith(ORACLE_FAILS):
        pytest.skip("fails in Keras")
    args, kwargs = mapped(torch.tensor, case)
    actual = of(ops, case.name)(*args, **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls torch in ways that torch warns of
        expected = of(keras.ops, case.name)(*args, **kwargs)
    if case.kwargs.get("retstep"):
        assert actual[1] == expected[1]
        actual, expected = actual[0], expected[0]
    assert_close(actual, expected, **CLOSE)


# Symbolic ----------------------------------------------------------------------------------------

# Not operations in Keras: they return no tensors of a graph.
NO_OPERATION = {
    "array zeros ones eye identity tri arange linspace logspace geomspace full bartlett blackman"
    " hamming hanning kaiser"
}


def arrays(case):
    """The arrays of a case, in order, each once."""
    found = []
    mapped(lambda x: found.append(x), case)
    return list({id(x): x for x in found}.values())


def symbolic(library, case, unknown=False):
    """The symbolic inputs of a case, and what its op returns on them."""
    inputs = {}

    def make(x):
        if id(x) not in inputs:
            shape = (None, *x.shape[1:]) if unknown and x.ndim else x.shape
            name = f"in{len(inputs)}"
            inputs[id(x)] = library.KerasTensor(shape, x.dtype.name, name=name)
            if not unknown:
                inputs[id(x)] = library.Input(batch_shape=shape, dtype=x.dtype.name, name=name)
        return inputs[id(x)]

    args, kwargs = mapped(make, case)
    return list(inputs.values()), of(library.ops, case.name)(*args, **kwargs)


def specs(outputs):
    """Shapes and dtypes."""
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [(tuple(x.shape), x.dtype) for x in outputs]


GRAPH_CASES = [case for case in CASES if arrays(case) and not case.looks]


@pytest.mark.parametrize("case", GRAPH_CASES, ids=lambda case: case.id)
def test_symbolic(case):
    """A graph infers what the eager function returns; where it can, so does Keras's."""
    args, kwargs = mapped(torch.tensor, case)
    eager = of(ops, case.name)(*args, **kwargs)
    _, outputs = symbolic(torchkeras, case)
    eager = eager if isinstance(eager, (list, tuple)) else [eager]
    assert specs(outputs) == [(tuple(x.shape), ops.dtype(x)) for x in eager]


@pytest.mark.parametrize("case", GRAPH_CASES, ids=lambda case: case.id)
def test_files_both_ways(case):
    """A model of one op: from Keras's config to ours and back, with the same results."""
    values = [torch.tensor(x) for x in arrays(case)]
    inputs, outputs = symbolic(keras, case)
    theirs = keras.Model(inputs, outputs)
    ours = model_from_json(theirs.to_json())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(values)
    actual = ours(values)
    assert_close(actual, expected, **CLOSE)
    back = keras.models.model_from_json(ours.to_json())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(back(values), expected, **CLOSE)
