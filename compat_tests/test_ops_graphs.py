"""Ops in graphs against Keras on torch: inferred shapes, and files in both directions."""

import sys
import warnings

import keras
import pytest
import torch
from ops_oracle import CASES, CLOSE, ORACLE_FAILS, arrays, mapped, of
from oracle import assert_close

import torchkeras
from torchkeras import ops
from torchkeras.graph.operation import OPERATIONS
from torchkeras.models import model_from_json
from torchkeras.tree import flatten

GRAPH_CASES = [case for case in CASES if arrays(case) and not case.looks]
# Keras's graph fails on these, or its model differs from its own eager function.
GRAPH_FAILS = (
    *ORACLE_FAILS,
    "adaptive_",
    "argpartition",  # in any order
    "conv-f2x9x8x4-f3x2x2x6-strides=2",
    "conv_transpose",
    "cross-f3x4-f3x4-axis=0",
    "fori_loop",
    "heaviside-f3x4-2.0",
    "hypot-f3x4-2.0",
    "jvp",
    "log_softmax-f2x3x4-axis=(0, 2)",
    "quantile-f2x5-f2-axis=1-keepdims=True-method=lower",
    "softmax-f2x3x4-axis=(0, 2)",
    "tensordot-f2x3-f3x2-axes=(0, 1)",
    "trapezoid-f2x5-x",
    "while_loop",
)


def symbolic(library, case, unknown=False):
    """The symbolic inputs of a case, and what its op returns on them."""
    inputs = {}

    def make(x):
        if id(x) not in inputs:
            same_batch = x.ndim and x.shape[0] == arrays(case)[0].shape[0]
            shape = (None, *x.shape[1:]) if unknown and same_batch else x.shape
            name = f"in{len(inputs)}"
            inputs[id(x)] = library.KerasTensor(shape, x.dtype.name, name=name)
            if not unknown:
                inputs[id(x)] = library.Input(batch_shape=shape, dtype=x.dtype.name, name=name)
        return inputs[id(x)]

    args, kwargs = mapped(make, case)
    return list(inputs.values()), of(library.ops, case.name)(*args, **kwargs)


def specs(outputs):
    """Shapes and dtypes."""
    return [(tuple(x.shape), x.dtype) for x in flatten(outputs)]


@pytest.mark.parametrize("case", GRAPH_CASES, ids=lambda case: case.id)
def test_symbolic(case):
    """A graph infers what the eager function returns; where it can, so does Keras's."""
    args, kwargs = mapped(torch.tensor, case)
    eager = of(ops, case.name)(*args, **kwargs)
    _, outputs = symbolic(torchkeras, case)
    assert specs(outputs) == [(tuple(x.shape), ops.dtype(x)) for x in flatten(eager)]


@pytest.mark.parametrize("case", GRAPH_CASES, ids=lambda case: case.id)
def test_files_both_ways(case):
    """A model of one op: from Keras's config to ours and back, with the same results."""
    if case.id.startswith(GRAPH_FAILS):
        pytest.skip("fails in Keras")

    def values():
        """Fresh tensors for each call: Keras's `affine_transform` overwrites one of its."""
        torch.manual_seed(0)
        return [torch.tensor(x) for x in arrays(case)]

    inputs, outputs = symbolic(keras, case)
    theirs = keras.Model(inputs, outputs)
    ours = model_from_json(theirs.to_json())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(values())
    actual = ours(values())
    assert_close(actual, expected, **CLOSE)
    back = keras.models.model_from_json(ours.to_json())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(back(values()), expected, **CLOSE)


# Unknown sizes -----------------------------------------------------------------------------------

# Keras infers nothing here with an unknown first size, or what its eager function contradicts.
UNKNOWN_FAILS = (
    "adaptive_",
    "corrcoef",
    "cross-f3x4-f3x4-axis=0",
    "full-(2, 3)-f3",
    "image.rgb_to_grayscale-f3x4x5",
    "glu-f4x3-axis=0",
    "image.scale_and_translate-f4x5-(4, 9)",
)
# Its graphs have another dtype than its eager functions, which are right.
OTHER_DTYPE = (
    "erf-i",
    "geomspace-",
    "imag",
    "linspace-",
    "logspace-",
    "multi_hot",
    "polar",
    "searchsorted",
)
OTHER_DTYPE += ("sigmoid-i", "size", "top_k")
BATCHED = [case for case in GRAPH_CASES if arrays(case)[0].ndim]


@pytest.mark.parametrize("case", BATCHED, ids=lambda case: case.id)
def test_unknown_batch(case):
    """With an unknown first size the graph infers what Keras's does."""
    if case.id.startswith(UNKNOWN_FAILS):
        pytest.skip("fails in Keras")
    try:
        expected = specs(symbolic(keras, case, unknown=True)[1])
    except Exception:  # an axis that has to be known, such as channels or a matrix's
        pytest.skip("refused by Keras")
    actual = specs(symbolic(torchkeras, case, unknown=True)[1])
    for (ours, our_dtype), (theirs, their_dtype) in zip(actual, expected, strict=True):
        assert len(ours) == len(theirs)
        # Keras gives up on some sizes that are known; the other way round is not accepted.
        assert all(y is None or x == y for x, y in zip(ours, theirs, strict=True)), (ours, theirs)
        assert our_dtype == their_dtype or case.id.startswith(OTHER_DTYPE)


# Completeness ------------------------------------------------------------------------------------

WITHOUT_A_FILE = {
    "core.Cond": "its functions take no arguments, and Keras's file has no place for them",
    "function.Function": "a graph, not an op",
    "math.SegmentReduction": "a base class",
    "numpy.Abs": "no function records it: `abs` is `absolute`",
    "numpy.Arange": "a graph holds the numbers",
    "numpy.Bincount": "as many counts as the largest value says",
    "numpy.Conj": "no function records it: `conj` is `conjugate`",
    "numpy.EmptyLike": "its values are undefined",
    "numpy.Histogram": "its range depends on values",
    "numpy.Ndim": "ranks are known: no function records it",
    "numpy.Nonzero": "as many places as values say",
    "numpy.Unique": "as many values as differ",
    "operation.Operation": "the base class",
}


def operation(case):
    """The operation class that a graph of a case has."""
    function = of(ops, case.name)
    if hasattr(function, "operation"):
        return function.operation
    (*_, outputs) = symbolic(torchkeras, case)
    return type(flatten(outputs)[0]._keras_history.operation)


def operation_classes():
    """The paths of Keras's operation classes below `keras.src.ops`."""
    paths = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("keras.src.ops."):
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, keras.Operation):
                    paths.add(f"{value.__module__}.{value.__name__}")
    return {path for path in paths if path.startswith("keras.src.ops.")}


def test_every_operation_class_is_in_a_file():
    """A case of `test_files_both_ways` for each class, and a class of ours for each of Keras's."""
    classes = operation_classes()
    without = {f"keras.src.ops.{path}" for path in WITHOUT_A_FILE}
    tested = {operation(case)._keras_path for case in GRAPH_CASES}
    assert classes - tested == without
    unneeded = {f"keras.src.ops.{path}" for path in ("function.Function", "operation.Operation")}
    assert classes - set(OPERATIONS) == unneeded | {"keras.src.ops.math.SegmentReduction"}
