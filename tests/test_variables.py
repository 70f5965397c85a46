import copy
import operator
import pickle

import numpy as np
import pytest
import torch

from torchkeras import initializers
from torchkeras.graph.context import AutocastScope, get_autocast_scope
from torchkeras.naming import name_scope
from torchkeras.ops.operators import Variable  # where it has them
from torchkeras.variables import shape_equal, standardize_shape


def test_it_is_a_parameter_and_ops_return_plain_tensors():
    v = Variable([1.0, 2.0])
    assert isinstance(v, torch.nn.Parameter)
    assert type(v + 1) is torch.Tensor
    assert v.requires_grad and v.trainable and v.value is v


def test_path_and_name():
    with name_scope("model"), name_scope("dense"):
        v = Variable(0.0, name="kernel")
    assert (v.path, v.name) == ("model/dense/kernel", "kernel")
    assert Variable(0.0).path.startswith("variable")


@pytest.mark.parametrize("name", ["a/b", 3])
def test_bad_names(name):
    with pytest.raises(ValueError, match="name"):
        Variable(0.0, name=name)


def test_trainable_follows_requires_grad():
    v = Variable([1.0])
    v.trainable = False
    assert not v.requires_grad
    v.requires_grad_(True)
    assert v.trainable
    count = Variable([1], dtype="int32")
    assert count.trainable and not count.requires_grad
    assert not Variable([1.0], trainable=False).requires_grad


def test_initial_values():
    assert Variable(1.0).dtype == torch.float32
    assert Variable(np.float64([1])).dtype == torch.float64
    assert Variable([1, 2]).dtype == torch.int32
    v = Variable(initializers.Constant(2.0), shape=(2, 3), dtype="float16")
    assert v.shape == (2, 3) and v.dtype == torch.float16 and v.unique().tolist() == [2.0]
    source = torch.ones(2)
    source_variable = Variable(source)
    source += 1
    assert source_variable.tolist() == [1.0, 1.0]


def test_initializer_errors():
    with pytest.raises(ValueError, match="`shape` argument"):
        Variable(initializers.Zeros())
    with pytest.raises(ValueError, match="known entirely"):
        Variable(initializers.Zeros(), shape=(None, 2))
    with pytest.raises(ValueError, match="another shape"):
        Variable(lambda shape, dtype: torch.zeros(1), shape=(2,))
    with pytest.raises(ValueError, match="has shape"):
        Variable([1.0, 2.0], shape=(3,))


def test_assign_is_in_place_and_checks_the_shape():
    v = Variable([1.0, 2.0], name="v")
    storage = v.data_ptr()
    assert v.assign([3, 4]) is v and v.data_ptr() == storage
    v.assign_add([1.0, 1.0])
    v.assign_sub(torch.tensor([2.0, 0.0], requires_grad=True))
    assert v.tolist() == [2.0, 5.0] and v.grad_fn is None
    with pytest.raises(ValueError, match=r"(?s)v.*\(3,\).*\(2,\)"):
        v.assign([1.0, 2.0, 3.0])


def test_numpy_of_what_requires_gradients():
    v = Variable([1.0, 2.0])
    np.testing.assert_array_equal(np.asarray(v), [1.0, 2.0])
    np.testing.assert_array_equal(v.numpy(), [1.0, 2.0])
    assert Variable([1.0], dtype="bfloat16").numpy().dtype == np.float32


def test_functions_of_numpy():
    v, w = Variable([3.0, 1.0]), Variable([1.0, 2.0])
    assert np.min(v) == 1 and np.max(v) == 3 and np.mean(v, axis=0) == 2 and np.std(v) == 1
    np.testing.assert_array_equal(np.concatenate([v, w]), [3, 1, 1, 2])
    np.testing.assert_array_equal(np.where(np.ones(2, bool), v, w), [3, 1])


def test_constraint_and_regularizer_must_be_callable():
    v = Variable([1.0])
    for attribute in ("constraint", "regularizer"):
        with pytest.raises(ValueError, match=attribute):
            setattr(v, attribute, 3)


def test_layout_decides_the_memory_and_not_the_shape():
    v = Variable(
        initializers.GlorotUniform(seed=0),
        shape=(3, 3, 4, 8),
        layout=(3, 2, 0, 1),
        memory_format=torch.channels_last,
    )
    assert v.shape == (3, 3, 4, 8)
    assert v.permute(3, 2, 0, 1).is_contiguous(memory_format=torch.channels_last)
    plain = initializers.GlorotUniform(seed=0)((3, 3, 4, 8))
    assert torch.equal(v, plain)
    (v * torch.ones(3, 3, 4, 8)).sum().backward()
    assert v.grad.stride() == v.stride()
    assert copy.deepcopy(v).stride() == v.stride()


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_keep_what_makes_it_a_variable(twin):
    v = Variable([1.0], name="v", autocast=False, trainable=False)
    other = twin(v)
    assert type(other) is Variable and other is not v
    assert (other.path, other.autocast, other.requires_grad) == ("v", False, False)
    other.assign([2.0])
    assert v.tolist() == [1.0]


def test_torch_sees_a_parameter():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = Variable([3.0])

        def forward(self, x):
            return self.w * x

    module = Module()
    assert list(module.state_dict()) == ["w"]
    assert torch.func.functional_call(module, {"w": torch.tensor([5.0])}, torch.ones(1)) == 5
    optimizer = torch.optim.SGD(module.parameters(), 1.0)
    module(torch.ones(1)).backward()
    optimizer.step()
    assert module.w.tolist() == [2.0]
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert compiled(torch.ones(1)) == 2


def test_repr_shows_path_shape_and_value():
    text = repr(Variable([1.0], name="v"))
    assert text == "<Variable path=v, shape=(1,), dtype=float32, value=[1.]>"
    assert "value" not in repr(Variable([1.0], device="meta"))


@pytest.mark.parametrize("shape", [3, "ab", (-1,), (2.5,), (True,)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="shape"):
        standardize_shape(shape)


def test_standardize_shape():
    assert standardize_shape([None, np.int64(3)]) == (None, 3)


def test_initializers_by_name():
    assert Variable("ones", shape=(2,)).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="`shape` argument"):
        Variable("ones")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, torch.int32),
        ([1.0], torch.float32),
        (np.float64(1.0), torch.float32),
        (np.ones(1), torch.float64),
        (np.int64(1), torch.int64),
        (True, torch.bool),
        (torch.ones(1, dtype=torch.float16), torch.float16),
    ],
)
def test_the_dtype_is_that_of_the_value(value, dtype):
    assert Variable(value).dtype is dtype


@pytest.mark.parametrize("option", ["aggregation", "synchronization"])
def test_options_are_checked(option):
    with pytest.raises(ValueError, match=f"Invalid value for argument `{option}`.*'sometimes'"):
        Variable(0.0, **{option: "sometimes"})
    assert getattr(Variable(0.0, **{option: None}), option) == "none"


def test_as_a_number():
    assert float(Variable(1.5)) == 1.5 and int(Variable(2)) == 2
    assert round(Variable([1.26]), 1).tolist() == pytest.approx([1.3])
    for conversion in (int, float):
        with pytest.raises(TypeError, match=r"Only scalar arrays.*\(2,\)"):
            conversion(Variable([1.0, 2.0]))
    with pytest.raises(TypeError, match="cannot be used as a boolean"):
        bool(Variable(True))


def test_what_must_be_callable_or_bool():
    v = Variable(0.0, name="v")
    for attribute in ("constraint", "regularizer"):
        with pytest.raises(ValueError, match=f"attribute `{attribute}` of variable 'v'"):
            setattr(v, attribute, "l2")
    with pytest.raises(TypeError, match="must be a boolean"):
        v.overwrite_with_gradient = 1
    v.overwrite_with_gradient = True
    assert copy.deepcopy(v).overwrite_with_gradient


def test_autocast_scopes():
    v, fixed, count = Variable([1.5]), Variable([1.5], autocast=False), Variable([1])
    assert get_autocast_scope() is None
    with AutocastScope("float16"):
        assert v.value.dtype is torch.float16 and v.dtype is torch.float32
        assert fixed.value is fixed and count.value is count
        assert get_autocast_scope().dtype == "float16"
        with AutocastScope(None):
            assert v.value is v
        v.assign(torch.ones(1, dtype=torch.float16))
    assert v.value is v and v.tolist() == [1.0] and get_autocast_scope() is None
    assert AutocastScope("bfloat16").maybe_cast(torch.ones(1)).dtype is torch.bfloat16
    assert AutocastScope("bfloat16").maybe_cast(torch.ones(1).int()).dtype is torch.int32
    with pytest.raises(ValueError, match="floating-point"):
        AutocastScope("int8")


@pytest.mark.parametrize("reflected", [False, True])
@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (operator.sub, torch.float16),
        (operator.matmul, torch.float16),
        (operator.truediv, torch.float16),
        (operator.and_, torch.bool),
        (operator.xor, torch.bool),
        (operator.lt, torch.bool),
    ],
)
def test_operators_promote_as_keras_does(operation, expected, reflected):
    half, flags = Variable([2.0], dtype="float16"), torch.tensor([True])
    result = operation(flags, half) if reflected else operation(half, flags)
    assert result.dtype is expected and type(result) is torch.Tensor


def test_operators_with_arrays_keep_the_gradient():
    v = Variable([1.0, 2.0])
    (v - np.ones(2, "float32")).sum().backward()
    assert v.grad.tolist() == [1.0, 1.0]
    assert (v <= np.array([1.0, 1.0])).tolist() == [True, False]


def test_operators_compile():
    v = Variable([[1.0, 2.0]])
    function = torch.compile(lambda x: x @ v - v, fullgraph=True, backend="eager")
    assert function(torch.ones(2, 1)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (None, "Undefined shapes"),
        (3, "Cannot convert '3' to a shape"),
        ((1, "2"), "invalid dimension '2'"),
        ((1, 2.0), "invalid dimension '2.0'"),
        ((True,), "invalid dimension 'True'"),
        ((1, -1), "Negative dimensions"),
    ],
)
def test_what_is_no_shape(shape, message):
    with pytest.raises(ValueError, match=message):
        standardize_shape(shape)


def test_shapes():
    shape = standardize_shape(torch.Size([2, 3]))
    assert type(shape) is tuple and standardize_shape([np.int64(2), None]) == (2, None)
    assert shape_equal(shape, (None, 3)) and not shape_equal(shape, (2, 4))
