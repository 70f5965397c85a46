"""`dropin.tf.tensors`: conversion, tensors of strings, and the methods of TensorFlow's tensors."""

import itertools

import numpy as np
import pytest
import torch

from torchkeras import Variable
from torchkeras.dropin.tf import tensors as module
from torchkeras.dropin.tf.tensors import StringTensor, as_tensor, matched
from torchkeras.layers import StringLookup


@pytest.fixture
def installed():
    """The methods, for one test."""
    module.install_methods()
    yield
    module.remove_methods()


# Conversion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, torch.int32),
        (2**40, torch.int64),
        (1.5, torch.float32),
        ([1, 2.5], torch.float32),
        ([], torch.float32),
        (np.float64(1), torch.float64),
        ([np.float64(1)], torch.float64),
        ([np.arange(2), np.arange(2)], torch.int64),
        (np.ones(2, "float16"), torch.float16),
        (np.arange(4)[::-2], torch.int64),
        (True, torch.bool),
        (1j, torch.complex128),
    ],
)
def test_dtypes(value, dtype):
    made = as_tensor(value)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, np.asarray(value))


def test_lists_of_tensors_are_stacked():
    made = as_tensor([torch.tensor([1, 2]), [torch.tensor(3.0), 4.5]])
    assert made.tolist() == [[1, 2], [3, 4.5]] and made.dtype is torch.float32


@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_what_is_no_tensor(kind):
    with pytest.raises(kind, match="cannot make a tensor of"):
        as_tensor([object()])
    with pytest.raises(TypeError, match="no string"):
        StringTensor([1, "a"])


@pytest.mark.parametrize(
    ("x", "y", "dtypes"),
    [
        (torch.ones(2), 3, (torch.float32, torch.float32)),
        (2, torch.ones(2, dtype=torch.float64), (torch.float64, torch.float64)),
        (torch.ones(2, dtype=torch.int64), 3, (torch.int64, torch.int64)),
        (torch.ones(2, dtype=torch.int64), 0.5, (torch.int64, torch.float32)),
        (torch.ones(2), np.ones(2), (torch.float32, torch.float32)),
        (1, 2.0, (torch.int32, torch.float32)),
    ],
)
def test_numbers_take_the_dtype_of_the_tensor_beside_them(x, y, dtypes):
    assert tuple(side.dtype for side in matched(x, y)) == dtypes


# Strings ------------------------------------------------------------------------------------------


def test_tensors_of_strings():
    words = StringTensor([["a", b"bc"], ["ä", ""]])
    assert words.shape == (2, 2) and words[0].tolist() == [b"a", b"bc"]
    assert words[1, 0].numpy() == "ä".encode()
    assert (words + "!").tolist()[1] == ["ä!".encode(), b"!"]
    assert ("<" + words)[0, 0].numpy() == b"<a"
    assert (words == "a").tolist() == [[True, False], [False, False]]
    assert (words != words).sum() == 0
    assert words[torch.tensor([1, 0])].tolist()[1] == [b"a", b"bc"]
    assert words[torch.tensor(1)].shape == (2,)
    assert [word.shape for word in words] == [(2,), (2,)]
    assert words.map(len).tolist() == [[1, 2], [2, 0]]
    assert words.to_tensor() is words
    with pytest.raises(TypeError, match="unhashable"):
        hash(words)


# Methods ------------------------------------------------------------------------------------------


def test_methods_come_and_go():
    before = {cls: dict(vars(cls)) for cls in (torch.Tensor, torch.Size, torch.dtype, Variable)}
    module.install_methods()
    assert module.methods_are_installed() and torch.float32.name == "float32"
    module.install_methods()  # once is enough
    module.remove_methods()
    assert not module.methods_are_installed()
    assert {cls: dict(vars(cls)) for cls in before} == before
    with pytest.raises(AttributeError):
        _ = torch.Size([1]).as_list
    with pytest.raises(RuntimeError, match="requires grad"):
        torch.ones(1, requires_grad=True).numpy()


def test_values_in_spite_of_gradients(installed):
    x = torch.ones(2, requires_grad=True) * 2
    assert x.numpy().tolist() == [2, 2] and np.asarray(x).dtype == np.float32
    assert np.mean(x) == 2 and np.stack([x, x]).shape == (2, 2)
    assert float(x.sum()) == 4.0 == float(x.sum().bfloat16())
    total = x.sum().numpy()
    assert f"{total:.1f}" == "4.0" and round(total, 1) == 4.0 and {total: 1}[4.0] == 1
    assert repr(total) == repr(np.float32(4.0))
    assert Variable([1.0]).numpy().tolist() == [1.0]
    assert torch.ones(1).numpy(force=True).tolist() == [1.0]


@pytest.mark.parametrize("order", ["array first", "tensor first"])
def test_numpy_operators_keep_gradients(installed, order):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    array = np.array([3.0, 4.0])
    y = array * x if order == "array first" else x * array
    assert isinstance(y, torch.Tensor) and y.dtype is torch.float32
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]
    assert isinstance(np.sqrt(x), np.ndarray)
    assert (np.float32(2) > x).tolist() == [True, False]


def test_lists_beside_tensors(installed):
    with pytest.raises(TypeError):
        torch.ones(2) + [1, 2]
    module.install_methods_of_programs()
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert (x - [1, 2]).tolist() == [[0, 0], [2, 2]] and ([6, 8] / x).tolist() == [[6, 4], [2, 2]]
    assert (x * (2.0, x[0, 1])).tolist() == [[2, 4], [6, 8]]
    assert (x > [2, 2]).tolist() == [[False, False], [True, True]]
    (x**2 * [1.0, 10.0]).sum().backward()
    assert x.grad.tolist() == [[2, 40], [6, 80]]
    whole = torch.tensor([1, 2])
    assert (whole + [1, 2]).dtype is torch.int64 and (whole * [1.5, 2]).tolist() == [1.5, 4.0]
    assert Variable([1.0, 2.0]).__rsub__([1, 1]).tolist() == [0, -1]


def test_shapes_and_dtypes(installed):
    x = torch.zeros(2, 3)
    assert x.shape.as_list() == [2, 3] and x.get_shape().rank == x.shape.ndims == 2
    assert x.shape.num_elements() == 6 and x.shape.is_fully_defined()
    assert x.shape[:1].concatenate([4]) == (2, 4) and x.shape.is_compatible_with([None, 3])
    assert not x.shape.is_compatible_with([2, 4]) and not x.shape.is_compatible_with([2])
    x.set_shape([None, 3])
    for wrong in ([2], [2, 4]):
        with pytest.raises(ValueError, match="not compatible"):
            x.set_shape(wrong)
    assert x.to_tensor() is x and {x.ref(): 1}[x.ref()] == 1
    assert torch.float32.is_floating and torch.int8.is_integer and torch.bool.is_bool
    assert not torch.bool.is_integer
    assert torch.int8.max == 127 and torch.float32.min == np.finfo("float32").min
    assert torch.float64.as_numpy_dtype is np.float64 and torch.int16.size == 2


def test_assignments(installed):
    v = Variable(np.zeros((3, 2), "float32"))
    assert v[0].assign([1.0, 2.0]).tolist() == [1, 2]
    v[1:, 1].assign_add([5.0, 6.0])
    v[2].assign_sub(1.0)
    v.scatter_nd_update([[0, 0]], [9.0])
    v.scatter_nd_add([[1], [1]], [[1.0, 1.0], [1.0, 1.0]])
    v.scatter_nd_sub([[2]], [[0.5, 0.5]])
    assert v.tolist() == [[9, 2], [2, 7], [-1.5, 4.5]] and v.requires_grad
    value = v.read_value()
    assert value.requires_grad and not isinstance(value, Variable)
    with pytest.raises(TypeError, match="no part of a variable"):
        torch.zeros(2).assign(1.0)
    with pytest.raises(TypeError, match="no part of a variable"):
        v[torch.tensor([0, 2])].assign(1.0)


SLICES = [slice(*parts) for parts in [(None, None, -1), (None, None, -2), (2, 0, -1), (0, 2, -1)]]
KEYS = [
    *[(s,) for s in SLICES],
    *[(..., s) for s in SLICES],
    *[(None, s, 1) for s in SLICES],
    *[(slice(1, 3), s, ..., r) for s, r in itertools.product(SLICES, SLICES)],
    *[(np.array([True, False, True]), s) for s in SLICES],
]


def test_tokens_are_tensors_of_strings(installed):
    layer = StringLookup(vocabulary=["a", "b"], invert=True)
    assert layer([1, 2]) == ["a", "b"]
    module.install_methods_of_programs()
    tokens = layer(torch.tensor([1, 2, 0]))
    assert isinstance(tokens, StringTensor) and tokens.numpy().tolist() == [b"a", b"b", b"[UNK]"]
    assert layer(torch.tensor([[1], [2]]))[1, 0].numpy() == b"b" and layer(1).numpy() == b"a"
    assert StringLookup(vocabulary=["a"])(tokens).tolist() == [1, 0, 0]


def test_a_value_that_was_read_stays(installed):
    variable = Variable([1.0, 2.0])
    read = variable.read_value()
    variable.assign([5.0, 5.0])
    assert read.tolist() == [1, 2]
    (variable.read_value() * 3.0).sum().backward()
    assert variable.grad.tolist() == [3, 3]


def test_slices_that_go_backwards(installed):
    array = np.arange(60).reshape(3, 4, 5)
    x = torch.from_numpy(array)
    for key in KEYS:
        ours = tuple(torch.from_numpy(k) if isinstance(k, np.ndarray) else k for k in key)
        np.testing.assert_array_equal(x[ours].numpy(), array[key], err_msg=str(key))
    assert x[0, 0, ::-1].tolist() == [4, 3, 2, 1, 0]
    with pytest.raises(ValueError, match="step"):
        x[::0]
    v = torch.ones(3, requires_grad=True)
    (v[::-1] * torch.arange(3)).sum().backward()
    assert v.grad.tolist() == [2, 1, 0]
