"""Ops against Keras on torch: names, signatures, and results of eager calls."""

import inspect
import sys
import warnings

import keras
import numpy as np
import pytest
import torch
from ops_oracle import CASES, CLOSE, ORACLE_FAILS, mapped, of
from oracle import as_list, assert_close, assert_same_error

from torchkeras import ops
from torchkeras.graph.operation import OPERATIONS

SUBMODULES = ("", "numpy", "nn", "linalg", "image")
# The places of values within the parts are nobody's promise.
ANY_ORDER = ("argpartition",)


@pytest.mark.parametrize("module", SUBMODULES)
def test_names(module):
    ours, theirs = (getattr(o, module) if module else o for o in (ops, keras.ops))
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert set(ours.__all__) == names
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
        if not cls.__module__.startswith("torchkeras.ops."):
            continue
        theirs = getattr(sys.modules[module], name)
        expected = set(inspect.signature(theirs.__init__).parameters) - {"self", "name", "kwargs"}
        assert set(cls.config_parameters) == expected, path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_eager(case):
    if case.id.startswith((*ORACLE_FAILS, *ANY_ORDER)):
        pytest.skip("fails in Keras")
    args, kwargs = mapped(torch.tensor, case)
    torch.manual_seed(0)
    actual = of(ops, case.name)(*args, **kwargs)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls torch in ways that torch warns of
        expected = of(keras.ops, case.name)(*args, **kwargs)
    for x, y in zip(as_list(actual), as_list(expected), strict=True):
        if hasattr(y, "shape"):
            assert_close(x, y, **CLOSE)
        else:
            assert x == y and type(x) is type(y)


# Dtypes ------------------------------------------------------------------------------------------

DTYPES = "bool uint8 int8 int16 int32 float16 bfloat16 float32".split()
BINARY = (
    "add subtract multiply divide true_divide divide_no_nan floor_divide mod fmod power maximum"
    " minimum fmax fmin equal less logical_and arctan2 hypot heaviside logaddexp isclose matmul dot"
    " tensordot inner vdot outer kron"
).split()
UNARY = (
    "abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh deg2rad"
    " exp exp2 expm1 fabs floor i0 isfinite isinf isnan isneginf isposinf log log10 log1p log2"
    " logical_not negative rad2deg reciprocal round sign signbit sin sinc sinh sqrt square tan tanh"
    " trunc nan_to_num sum mean var std max min prod any all argmax argmin cumsum cumprod sort"
    " argsort median ptp count_nonzero average trace tril diff relu sigmoid softmax silu norm"
    " one_hot nansum nanmean nanvar nanprod zeros_like flip transpose"
).split()


def value(dtype, seed=0):
    """A matrix of small positive numbers of a dtype."""
    numbers = np.random.default_rng(seed).integers(1, 4, (2, 2))
    return torch.tensor(numbers).to(getattr(torch, dtype))


def oracle(name, *args):
    """What Keras returns, or `None` where it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(keras.ops, name)(*args)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            return None


@pytest.mark.parametrize("name", BINARY)
def test_dtypes_of_pairs(name):
    compared = 0
    for first in DTYPES:
        for second in DTYPES:
            args = value(first), value(second, 1)
            args = [x.ravel() for x in args] if name == "vdot" else args
            expected = oracle(name, *args)
            if expected is None:
                continue
            assert_close(getattr(ops, name)(*args), expected, f"{first}, {second}", rtol=3e-2)
            compared += 1
    assert compared >= 30


@pytest.mark.parametrize("name", UNARY)
def test_dtypes_of_one(name):
    compared = 0
    for dtype in DTYPES:
        extra = (4,) if name == "one_hot" else ()
        expected = oracle(name, value(dtype), *extra)
        if expected is None:
            continue
        with np.errstate(all="ignore"):
            actual = getattr(ops, name)(value(dtype), *extra)
            assert_close(actual, expected, dtype, rtol=3e-2)
        compared += 1
    assert compared >= 3


# In Keras a number widens `float16` here, which it does nowhere else.
@pytest.mark.parametrize("name", [n for n in BINARY[:20] if n not in ("arctan2", "hypot")])
@pytest.mark.parametrize("number", [2, 0.5, True])
def test_python_numbers(name, number):
    for dtype in DTYPES:
        for args in ((value(dtype), number), (number, value(dtype))):
            expected = oracle(name, *args)
            if expected is not None:
                actual = getattr(ops, name)(*args)
                assert_close(actual, expected, f"{dtype} {args}", rtol=3e-2)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("trace", "tril", "diff", "norm")])
@pytest.mark.parametrize(
    "x",
    [
        np.float32([[1, 2], [3, 0.5]]),
        np.int8([[1, 2], [3, 4]]),
        [[1, 2], [3, 4]],
        [[0.5, 1.0], [0.25, 0.75]],
        np.float32(0.5),
        0.5,
        2,
        np.zeros((0, 3), "float32"),
    ],
    ids=["float32", "int8", "ints", "floats", "0d", "float", "int", "empty"],
)
def test_inputs_that_are_no_tensors(name, x):
    extra = (4,) if name == "one_hot" else ()
    expected = oracle(name, x, *extra)
    if expected is None:
        pytest.skip("fails in Keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(var|std).*degrees of freedom")
        assert_close(getattr(ops, name)(x, *extra), expected, **CLOSE)


@pytest.mark.parametrize(
    "call",
    [
        lambda k: k.ops.reshape(np.zeros((2, 3)), (-1, -1)),
        lambda k: k.ops.split(np.zeros((2, 3)), 2, axis=1),
        lambda k: k.ops.where(np.zeros(3), 1),
        lambda k: k.ops.pad(np.zeros((2, 3)), ((1, 1), (1, 1)), "reflect", constant_values=1),
        lambda k: k.ops.max(np.zeros((0, 3))),
        lambda k: k.ops.diagonal(np.zeros((2, 3)), axis1=0, axis2=0),
        lambda k: k.ops.eye(2.0),
        lambda k: k.ops.ldexp(np.zeros(3), np.zeros(3)),
        lambda k: k.ops.cholesky(np.zeros((2, 3), "float32")),
        lambda k: k.ops.cholesky(-np.eye(2, dtype="float32")),
        lambda k: k.ops.solve(np.zeros((2, 2)), np.zeros((3, 2))),
        lambda k: k.ops.qr(np.zeros((2, 2)), mode="no"),
        lambda k: k.ops.scatter_update(np.zeros(3), [[0]], [1.0], reduction="no"),
        lambda k: k.ops.segment_sum(np.zeros((3, 2)), np.zeros((2, 2), "int32")),
        lambda k: k.ops.normalize(np.zeros(3), order=0),
        lambda k: k.ops.categorical_crossentropy(np.zeros((2, 3)), np.zeros((2, 2))),
        lambda k: k.ops.sparse_categorical_crossentropy(np.zeros((3,)), np.zeros((2, 2))),
        lambda k: k.ops.dot_product_attention(*[np.zeros((2, 3, 4))] * 3),
        lambda k: k.ops.multi_hot([1]),
        lambda k: k.ops.image.resize(np.zeros((4, 4, 3)), (0, 2)),
        lambda k: k.ops.image.resize(np.zeros((4, 4, 3)), (2, 2), interpolation="no"),
        lambda k: k.ops.image.pad_images(np.zeros((4, 4, 3)), 1),
        lambda k: k.ops.image.crop_images(np.zeros((4, 4, 3)), 1, 1, 1, 1, 1, 1),
        lambda k: k.ops.scan(3, 0, [1]),
        lambda k: k.ops.scan(lambda c, x: (c, x), 0),
        lambda k: k.ops.convert_to_tensor([1], sparse=True),
        lambda k: k.ops.array_split([1], 0),
        lambda k: k.ops.vander(np.zeros((2, 2))),
        lambda k: k.ops.histogram(np.zeros(3), bins=-1),
        lambda k: k.ops.conv(np.zeros((1, 3, 3)), np.zeros((2, 2, 4))),
        lambda k: k.ops.depth_to_space(np.zeros((1, 2, 2, 4)), 1),
        lambda k: k.ops.cdist(np.zeros(3), np.zeros(3)),
    ],
)
def test_errors(call):
    assert_same_error(call)
