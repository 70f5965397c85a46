import copy
import pickle

import numpy as np
import pytest
import torch

from torchkeras import initializers
from torchkeras.naming import name_scope
from torchkeras.variables import Variable, standardize_shape


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
    assert Variable([1, 2]).dtype == torch.int64
    v = Variable(initializers.Constant(2.0), shape=(2, 3), dtype="float16")
    assert v.shape == (2, 3) and v.dtype == torch.float16 and v.unique().tolist() == [2.0]
    source = torch.ones(2)
    source_variable = Variable(source)
    source += 1
    assert source_variable.tolist() == [1.0, 1.0]


def test_initializer_errors():
    with pytest.raises(ValueError, match="needs a shape"):
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
