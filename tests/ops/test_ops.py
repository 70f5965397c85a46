"""Ops: NumPy's results, the `meta` device, gradients, control flow, operators, and faces."""

import collections
import inspect
import math
import operator
import warnings

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from op_cases import CASES, Case, f, i, nans, p

from torchkeras import Input, Model, ops
from torchkeras.graph.keras_tensor import KerasTensor
from torchkeras.graph.operation import OPERATIONS
from torchkeras.models import model_from_json
from torchkeras.tree import flatten


def _walk(function, x):
    if type(x) in (list, tuple):
        return type(x)(_walk(function, item) for item in x)
    return function(x) if isinstance(x, np.ndarray) else x


def call(case: Case, make):
    """Call the op of a case with its arrays made by `make`."""
    function = operator.attrgetter(case.name)(ops)
    kwargs = {key: _walk(make, value) for key, value in case.kwargs.items()}
    return function(*_walk(make, list(case.args)), **kwargs)


def shapes(x):
    return [tuple(getattr(part, "shape", ())) for part in flatten(x)]


WITHOUT_A_CASE = {
    "custom_gradient": "its gradient is none of the function's; tests below",
    "vectorize": "returns a function; tests below and in `test_symbolic.py`",
    "empty": "undefined values; `test_conversion`",
    "empty_like": "undefined values; `test_conversion`",
    **dict.fromkeys(("image", "linalg", "nn", "numpy"), "a submodule"),
}
# Settings that no case gives, by op.
WITHOUT_A_VALUE = {
    "dot_product_attention": {"attn_logits_soft_cap"},  # refused as by Keras on torch
    "image.elastic_transform": {"seed"},  # which Keras on torch disregards
    # What other libraries' functions of this name take.
    **{name: {"kwargs"} for name in ("einsum", "layer_normalization", "multi_hot")},
}


def test_every_op_has_a_case():
    names = {*ops.__all__, *(f"image.{name}" for name in ops.image.__all__)}
    assert names - {case.name for case in CASES} == set(WITHOUT_A_CASE)


def test_every_setting_has_a_case():
    given = collections.defaultdict(set)
    for case in CASES:
        given[case.name] |= set(signature(case).bind(*case.args, **case.kwargs).arguments)
    missing = {case.name: set(signature(case).parameters) - given[case.name] for case in CASES}
    assert {name: rest for name, rest in missing.items() if rest} == WITHOUT_A_VALUE


def signature(case: Case) -> inspect.Signature:
    return inspect.signature(operator.attrgetter(case.name)(ops))


NO_META = {
    "lstsq": "torch has no such kernel",
    "ctc_loss": "torch's kernel reads the lengths, wherever they are",
}
META = [case for case in CASES if not case.looks and case.name not in NO_META]


def test_every_op_runs_without_data_but_those_that_look():
    """Only what has a shape that depends on values, or returns no tensor, may look."""
    look = {"bincount", "histogram", "nonzero", "unique", "cond"}
    look |= {"convert_to_numpy", "dtype", "is_tensor", "ndim", "shape"}
    assert {c.name for c in CASES} - {c.name for c in META} == look | set(NO_META)


@pytest.mark.parametrize("case", META, ids=lambda case: case.id)
def test_runs_without_data(case):
    """On `meta` tensors there are no values to look at, and none may come from the host."""
    expected = call(case, torch.tensor)
    with torch.device("meta"):
        actual = call(case, lambda x: torch.tensor(x, device="meta"))
    assert shapes(actual) == shapes(expected)
    assert all(part.is_meta for part in flatten(actual) if isinstance(part, torch.Tensor))


NUMPY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "arctan2": np.arctan2,
    "hypot": np.hypot,
    "logaddexp": np.logaddexp,
    "floor_divide": np.floor_divide,
    "mod": np.mod,
    "fmod": np.fmod,
}
_numbers = st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3)


@pytest.mark.parametrize("name", NUMPY)
@given(
    pair=arrays_of.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3).flatmap(
        lambda shapes: st.tuples(
            *[arrays_of.arrays("float64", s, elements=_numbers) for s in shapes.input_shapes]
        )
    )
)
def test_pairs_as_in_numpy(name, pair):
    expected = NUMPY[name](*pair)
    np.testing.assert_allclose(getattr(ops, name)(*pair), expected, rtol=1e-9, atol=1e-9)


REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "prod": np.prod,
    "max": np.max,
    "min": np.min,
    "ptp": np.ptp,
    "median": np.median,
    "nansum": np.nansum,
    "nanmean": np.nanmean,
    "nanstd": np.nanstd,
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 1, 0)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_as_in_numpy(name, axis, keepdims):
    """All in float64, which is not narrowed; `keepdims` holds for `axis=None` too."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    expected = REDUCTIONS[name](x, axis=axis, keepdims=keepdims)
    actual = getattr(ops, name)(x, axis=axis, keepdims=keepdims)
    assert actual.dtype == torch.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


AS_NUMPY = [
    (ops.repeat(f(2, 3), [1, 0, 2], axis=1), np.repeat(f(2, 3), [1, 0, 2], axis=1)),
    (ops.pad(f(4, 5), 2, mode="symmetric"), np.pad(f(4, 5), 2, mode="symmetric")),
    (ops.pad(i(4, 5), ((3, 0), (1, 2)), mode="edge"), np.pad(i(4, 5), ((3, 0), (1, 2)), "edge")),
    (ops.pad(f(2, 3), (1, 2), constant_values=4), np.pad(f(2, 3), (1, 2), constant_values=4)),
    (ops.dot(f(2, 3, 4), f(5, 4, 2)), np.dot(f(2, 3, 4), f(5, 4, 2))),
    (ops.cross(f(3, 2, 3), f(3, 2, 3, seed=1)), np.cross(f(3, 2, 3), f(3, 2, 3, seed=1))),
    (ops.cross(f(3, 2), f(3, 2, seed=1), axis=0), np.cross(f(3, 2), f(3, 2, seed=1), axis=0)),
    (ops.linspace(f(2), f(2) + 3, 4, axis=1), np.linspace(f(2), f(2) + 3, 4, axis=1)),
    (ops.linspace(0, 9, 4, endpoint=False), np.linspace(0, 9, 4, endpoint=False)),
    (ops.geomspace(-1.0, -8.0, 4), np.geomspace(-1, -8, 4)),
    (ops.correlate(f(7), f(3), "full"), scipy.signal.correlate(f(7), f(3), "full")),
    (ops.take(f(3, 4), [-1, 5]), np.take(f(3, 4), [-1, 5])),
    (ops.take_along_axis(f(3, 4), i(3, 2) - 2, 1), np.take_along_axis(f(3, 4), i(3, 2) - 2, 1)),
    (ops.average(f(2, 3), 1, p(3)), np.average(f(2, 3), 1, p(3))),
    (ops.tri(3, 5, -1), np.tri(3, 5, -1)),
    (ops.vander(f(3), 2), np.vander(f(3), 2)),
    (ops.nanquantile(nans(9), [0.2, 0.8]), np.nanquantile(nans(9), [0.2, 0.8])),
    (ops.unique(i(3, 4), return_counts=True)[1], np.unique(i(3, 4), return_counts=True)[1]),
    (ops.imag(f(3)), np.imag(f(3))),
    (ops.view_as_real(np.complex64([1 + 2j])), [[1, 2]]),
    (ops.kaiser(7, 3.0), np.kaiser(7, 3.0)),
    (ops.histogram(f(20), bins=4)[0], np.histogram(f(20), bins=4)[0]),
    (ops.saturate_cast(np.float32([-1e9, 3e9, 2.5]), "int32"), [-(10**9), 2147483520, 2]),
]


@pytest.mark.parametrize("pair", range(len(AS_NUMPY)))
def test_as_in_numpy(pair):
    actual, expected = AS_NUMPY[pair]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


MODES = ("edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect", "wrap")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("x", [f(4, 5), i(3, 4, 2), f(3, 3).astype("float64")], ids=str)
def test_padding_as_in_numpy(mode, x):
    last = ((0, 0),) * (x.ndim - 1) + ((5, 0),)
    for width in (1, ((1, 2),) * x.ndim, last):
        padded, expected = ops.pad(x, width, mode=mode), np.pad(x, width, mode=mode)
        np.testing.assert_allclose(padded, expected, rtol=1e-6)
        assert padded.numpy().dtype == expected.dtype
        symbolic = KerasTensor((None, *x.shape[1:]), dtype=str(x.dtype))
        assert ops.pad(symbolic, width, mode=mode).shape == (None, *expected.shape[1:])


def test_arguments_of_padding_and_repetition():
    for width, mode in ((1, "diagonal"), (((-1, 0),), "reflect")):
        with pytest.raises(ValueError, match="modes are 'constant' and"):
            ops.pad(f(2, 3), width, mode=mode)
    for x in (f(2, 3), KerasTensor((2, 3))):
        with pytest.raises(ValueError, match="one for each of the 3"):
            ops.repeat(x, [1, 2], axis=1)


def test_normalizations_over_any_axis():
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    for axis in (1, (0, 2), [2, 1]):
        dims = tuple(axis) if not isinstance(axis, int) else (axis,)
        mean, var = x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)
        expected = (x - mean) / (var + 1e-3).sqrt()
        torch.testing.assert_close(ops.layer_normalization(x, axis=axis, epsilon=1e-3), expected)
        expected = x / (x.square().mean(dims, keepdim=True) + 1e-3).sqrt()
        torch.testing.assert_close(ops.rms_normalization(x, axis=axis, epsilon=1e-3), expected)


def test_argpartition():
    x = torch.randn(3, 7)
    index = ops.argpartition(x, 2, axis=1).long()
    parted = x.gather(1, index)
    assert (parted[:, 2] == x.sort(1).values[:, 2]).all()


def test_decompositions_multiply_to_their_input():
    x = torch.randn(4, 3)
    u, s, vh = ops.svd(x, full_matrices=False)
    torch.testing.assert_close(u @ torch.diag(s) @ vh, x)
    values, vectors = ops.eig(x[:3])
    torch.testing.assert_close((vectors * values) @ ops.inv(vectors), x[:3].to(values.dtype))


# Gradients ---------------------------------------------------------------------------------------


def test_gradients_reach_batch_statistics():
    x, mean, var = (torch.rand(n, dtype=torch.float64, requires_grad=True) for n in (6, 3, 3))
    torch.autograd.gradcheck(
        lambda x, m, v: ops.batch_normalization(x.reshape(2, 3), m, v, -1), (x, mean, var)
    )


def test_divide_no_nan_has_finite_gradients():
    x = torch.zeros(2, requires_grad=True)
    ops.divide_no_nan(1.0, x).sum().backward()
    assert x.grad.isfinite().all()


def test_stop_gradient():
    x = torch.ones(2, requires_grad=True)
    (x * ops.stop_gradient(x)).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_custom_gradient_of_two_arguments():
    @ops.custom_gradient
    def product(x, y):
        return x * y, lambda x, y, upstream: (10 * upstream, 20 * upstream)

    x, y = (torch.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    product(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (10.0, 20.0)


# Control flow ------------------------------------------------------------------------------------


def test_while_loop_with_several_variables():
    steps, total = ops.while_loop(lambda n, s: n < 5, lambda n, s: (n + 1, s + n), (0, 0))
    assert (steps.item(), total.item()) == (5, 10)
    assert ops.while_loop(lambda x: True, lambda x: x + 1, 0, maximum_iterations=3).item() == 3


def test_scan_with_structures_and_in_reverse():
    xs = {"a": torch.arange(3.0), "b": torch.ones(3, 2)}
    carry, result = ops.scan(lambda c, x: (c + x["a"], x["b"] * c), torch.tensor(1.0), xs)
    assert carry.item() == 4.0
    assert result[:, 0].tolist() == [1.0, 1.0, 2.0]
    _, sums = ops.scan(lambda c, x: (c + x, c + x), 0, torch.tensor([1, 2, 3]), reverse=True)
    assert sums.tolist() == [6, 5, 3]
    carry, _ = ops.scan(lambda c, _: (c * 2, None), torch.tensor(1), length=5)
    assert carry.item() == 32


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_is_cumulative(size, reverse):
    x = torch.randn(2, size, dtype=torch.float64)
    expected = x.flip(1).cumsum(1).flip(1) if reverse else x.cumsum(1)
    actual = ops.associative_scan(torch.add, x, reverse=reverse, axis=1)
    torch.testing.assert_close(actual, expected)


def test_associative_scan_keeps_the_order_of_operands():
    matrices = torch.randn(5, 2, 2, dtype=torch.float64)
    expected = [matrices[0]]
    for matrix in matrices[1:]:
        expected.append(expected[-1] @ matrix)
    torch.testing.assert_close(ops.associative_scan(torch.matmul, matrices), torch.stack(expected))


def test_branches_and_maps():
    assert ops.cond(torch.tensor(False), lambda: 1, lambda: 2) == 2
    assert ops.switch(7, [lambda x: x, lambda x: -x], 3) == -3
    assert ops.fori_loop(1, 4, lambda n, x: n * x, 1) == 6
    assert ops.map(lambda x: x * 2, torch.arange(3)).tolist() == [0, 2, 4]
    assert ops.vectorized_map(torch.sum, torch.ones(2, 3)).tolist() == [3.0, 3.0]
    scaled = ops.vectorize(lambda x, y, factor: (x - y) * factor, excluded={2})
    assert scaled(torch.ones(2, 1), torch.zeros(3), 2.0).tolist() == [[2.0] * 3] * 2
    value, tangent = ops.linalg.jvp(torch.square, [torch.tensor(3.0)], [torch.tensor(1.0)])
    assert (value.item(), tangent.item()) == (9.0, 6.0)


# Symbolic tensors --------------------------------------------------------------------------------

OPERATORS = [
    lambda x, y: x + 2 * y - 1,
    lambda x, y: 1 - x / 3 + 2 / (y + 9),
    lambda x, y: (x // 2) % 3 + 5 % (y + 7) + 9 // (y + 9),
    lambda x, y: (-abs(x)) ** 2 + 2**y,
    lambda x, y: x @ y.reshape((4, 3)),
    lambda x, y: np.ones((2, 3), "float32") @ x,
    lambda x, y: x @ np.ones((4, 2), "float32"),
    lambda x, y: (x > 0) & (y < 1) | ~(x != y) ^ (x >= y),
    lambda x, y: torch.ones(3, 4) + x,
    lambda x, y: np.ones((3, 4), "float32") * x,
    lambda x, y: round(x, 1) if isinstance(x, KerasTensor) else torch.round(x, decimals=1),
    lambda x, y: x[1:],
    lambda x, y: x[..., 0],
    lambda x, y: x[:, None, ::2],
    lambda x, y: x[-1, torch.tensor([0, 2])],
    lambda x, y: x[torch.tensor([2, 0])],
    lambda x, y: x[:, [0, 3]],
    lambda x, y: x[0].squeeze(),
]


@pytest.mark.parametrize("operator", range(len(OPERATORS)))
def test_operators(operator):
    """A graph of Python's operators computes what they compute on tensors."""
    function = OPERATORS[operator]
    inputs = Input(batch_shape=(3, 4)), Input(batch_shape=(3, 4))
    outputs = function(*inputs)
    values = torch.tensor(f(3, 4)), torch.tensor(f(3, 4, seed=1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*__array_wrap__.*", DeprecationWarning)
        concrete = [KerasFree(v) for v in values] if operator in (5, 6, 9) else values
        expected = function(*concrete)
    expected = getattr(expected, "tensor", expected)
    actual = Model(inputs, outputs)(values)
    assert tuple(outputs.shape) == tuple(expected.shape)
    torch.testing.assert_close(actual, expected, check_dtype=False)


class KerasFree:
    """A tensor that lets NumPy leave the operation to it, as symbolic tensors do."""

    __array_ufunc__ = None

    def __init__(self, tensor):
        self.tensor = tensor

    def __rmatmul__(self, other):
        return KerasFree(torch.tensor(other) @ self.tensor)

    def __matmul__(self, other):
        return KerasFree(self.tensor @ torch.tensor(other))

    def __rmul__(self, other):
        return KerasFree(torch.tensor(other) * self.tensor)


def test_symbolic_settings_and_unknown_sizes():
    x = KerasTensor((None, 6))
    assert ops.reshape(x, (ops.shape(x)[0], -1, 2)).shape == (None, 3, 2)
    assert ops.reshape(x, (None, 3, 2)).shape == (None, 3, 2)
    assert ops.reshape(x, (-1, 4)).shape == (None, 4)
    assert ops.reshape(x, -1).shape == (None,)
    assert [part.shape for part in ops.split(x, 2)] == [(None, 6)] * 2
    assert ops.broadcast_to(x, (5, 6)).shape == (5, 6)
    assert [part.shape for part in ops.unstack(x, num=3)] == [(6,)] * 3
    with pytest.raises(ValueError, match="Pass `num`"):
        ops.unstack(x)
    assert ops.clip(x, 0.0, KerasTensor((6,))).shape == (None, 6)
    assert ops.cond(KerasTensor((), "bool"), lambda: ops.zeros(2), lambda: ops.ones(2)).shape == (
        2,
    )
    assert ops.while_loop(lambda y: y.sum() < 3, lambda y: y + 1, x).shape == (None, 6)
    assert ops.scan(lambda c, y: (c + y, c), KerasTensor((4,)), KerasTensor((5, 4)))[1].shape == (
        5,
        4,
    )
    assert ops.rearrange(KerasTensor((2, None, 6)), "b t (h d) -> b h t d", h=2).shape == (
        2,
        2,
        None,
        3,
    )


def test_configs_are_plain():
    """Dtypes and shapes come in many spellings; a config is JSON all the same."""
    x = Input((6,))
    y = ops.cast(ops.reshape(x, torch.Size([-1, 3, 2])), torch.float16)
    y = ops.einsum("bij,bkj->bik", y, ops.reshape(x, -1)[None, :6, None] * np.float32(2))
    model = Model(x, ops.batch_normalization(y, [0.0], [1.0], -1, offset=ops.zeros(1)))
    text = model.to_json()
    assert '"dtype": "float16"' in text
    assert model_from_json(text).to_json() == text


def test_tensors_between_settings_keep_their_place():
    x = Input(batch_shape=(2, 3))
    offset = Input(batch_shape=(3,))
    model = Model(
        (x, offset), ops.batch_normalization(x, torch.zeros(3), torch.ones(3), -1, offset)
    )
    result = model((torch.ones(2, 3), torch.tensor([0.0, 1.0, 2.0])))
    expected = 1 / math.sqrt(1.001) + torch.tensor([0.0, 1.0, 2.0]).expand(2, 3)
    torch.testing.assert_close(result, expected)


def test_operation_classes():
    assert ops.squeeze.operation(axis=1).axis == 1
    assert OPERATIONS["keras.src.ops.numpy.Squeeze"] is ops.squeeze.operation
    layer = ops.expand_dims.operation(axis=1)
    assert layer(torch.ones(2)).shape == (2, 1)
    assert layer.get_config() == {"name": layer.name, "axis": 1}


# Conversion --------------------------------------------------------------------------------------


def test_conversion():
    assert ops.convert_to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1.0, 1.0]
    assert ops.convert_to_numpy([torch.ones(2), np.zeros(2)]).shape == (2, 2)
    assert ops.convert_to_numpy(torch.ones(2, dtype=torch.bfloat16)).astype(float).tolist() == [
        1,
        1,
    ]
    assert ops.convert_to_tensor([torch.tensor(1), 2]).tolist() == [1, 2]
    assert (ops.shape([[1, 2]]), ops.ndim(3), ops.dtype(np.zeros(2))) == ((1, 2), 0, "float64")
    assert ops.is_tensor(torch.ones(2)) and not ops.is_tensor(KerasTensor((2,)))
    assert ops.empty((2, 3)).shape == ops.empty_like(torch.ones(2, 3)).shape


def test_numbers_keep_all_digits_in_float64():
    x = torch.tensor([1.0], dtype=torch.float64)
    assert ops.subtract(0.1, x).item() == 0.1 - 1.0
    assert ops.maximum(x - 1, 0.1).item() == 0.1


def test_rearrange():
    x = torch.arange(24).reshape(2, 3, 4)
    assert ops.rearrange(x, "a b c -> c (b a)").tolist() == x.permute(2, 1, 0).flatten(1).tolist()
    with pytest.raises(ValueError, match="does not fit"):
        ops.rearrange(x, "a b -> b a")


@pytest.mark.parametrize(
    ("one", "other", "product"),
    [("int8", "int8", "int32"), ("int8", "bool", "int8"), ("int64", "int8", "int64")],
)
def test_einsum_of_integers_widens_int8_alone(one, other, product):
    assert str(ops.einsum("i,i->i", ops.ones(2, one), ops.ones(2, other)).dtype)[6:] == product


def test_einsum_takes_the_options_of_numpys():
    a, b = torch.rand(2, 3), torch.rand(3, 4)
    torch.testing.assert_close(ops.einsum("ij,jk->ik", a, b, optimize="greedy"), a @ b)
    x = Input((3,))
    model = Model(x, ops.einsum("ij,jk->ik", x, b, optimize=True))
    torch.testing.assert_close(model(a), a @ b)


@pytest.mark.parametrize("op", [ops.bitwise_and, ops.left_shift, ops.gcd, ops.lcm])
def test_unsigned_numbers_go_with_signed_ones(op):
    """torch promotes its wider unsigned dtypes with no other."""
    x, y = torch.tensor([12], dtype=torch.uint16), torch.tensor([6], dtype=torch.int8)
    assert op(x, y).dtype == torch.int32
    assert op(x, y).tolist() == op(12, 6).reshape(1).tolist()


def test_python_numbers_do_not_widen_scalars():
    assert ops.right_shift(np.array(8, "int8"), 3).dtype == torch.int8
    assert ops.add(np.array(8, "uint8"), 3).dtype == torch.uint8
    assert ops.add([1.0, 2.0], 3).dtype == torch.float32
