"""`dropin.tf.modules`: shapes, variables, modules and functions of TensorFlow programs."""

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras.dropin.tf import modules
from torchkeras.dropin.tf.modules import Module, ShapeTensor, TensorShape, TensorSpec, Variable


def test_shapes():
    shape = TensorShape([None, 3])
    assert shape == [None, 3] and shape != (2, 3) and shape.rank == 2
    assert shape.num_elements() is None and not shape.is_fully_defined()
    assert shape.is_compatible_with((2, 3)) and not shape.is_compatible_with((2, 4))
    assert (shape + [4]).as_list() == [None, 3, 4] and isinstance(shape[1:], TensorShape)
    assert repr(shape) == "TensorShape([None, 3])" and {shape: 1}[None, 3] == 1
    assert TensorShape(3) == (3,) and TensorShape(None) == ()


def test_shapes_as_tensors():
    shape = ShapeTensor((2, 3))
    assert 2 * shape == (4, 6) and shape // 2 == (1, 1) and shape + [1, 2] == (3, 5)
    assert shape - torch.tensor(1) == (1, 2) and shape * torch.tensor([1, 2]) == (2, 6)
    assert shape[:1] == (2,) and isinstance(shape[:1], ShapeTensor) and shape[0] == 2
    assert shape.numpy().dtype == np.int32


def test_specs():
    spec = TensorSpec([None, 2], "int32", name="x")
    assert spec.is_compatible_with(torch.zeros(5, 2, dtype=torch.int32))
    assert not spec.is_compatible_with(torch.zeros(5, 2))
    assert spec == TensorSpec([None, 2], "int32") != TensorSpec([None, 2], "int64")
    assert len({spec, TensorSpec([None, 2], "int32")}) == 1 and spec != 3
    assert isinstance(spec, modules.TypeSpec)


@pytest.mark.parametrize(
    ("value", "options", "dtype"),
    [
        (1, {}, torch.int32),
        (1.0, {}, torch.float32),
        (np.ones(2), {}, torch.float64),
        (1, {"dtype": "float32"}, torch.float32),
        (lambda: torch.zeros(2), {}, torch.float32),
    ],
)
def test_variables(value, options, dtype):
    v = Variable(value, name="v:0", **options)
    assert isinstance(v, torchkeras.Variable) and isinstance(v, Variable)
    assert v.dtype is dtype and v.name == "v" and v.trainable
    assert v.requires_grad == dtype.is_floating_point


def test_variables_are_copies_with_constraints():
    start = torch.zeros(2)
    v = Variable(start, trainable=False, constraint=torch.relu)
    v.assign([1.0, 2.0])
    assert start.tolist() == [0, 0] and not v.trainable and v.constraint is torch.relu


class Deep(Module):
    def __init__(self):
        super().__init__(name="deep")
        self.parts = [Line(), {"b": Line(), "a": Variable(0.0, trainable=False)}]
        self.dense = torchkeras.layers.Dense(2)
        self.dense.build((None, 3))
        self.twice = self.parts[0]


class Line(Module):
    def __init__(self):  # no call of `super().__init__()`, which TensorFlow does not need
        self.slope = Variable(1.0)

    @Module.with_name_scope
    def make(self):
        return Variable(0.0, name="made")


def test_modules_find_what_is_inside():
    deep = Deep()
    assert [v.path for v in deep.variables].count("variable") == 0
    assert len(deep.variables) == 5  # two lines, a constant, a kernel and a bias
    assert len(deep.trainable_variables) == 4 and len(deep.non_trainable_variables) == 1
    assert len(deep.submodules) == 3 and deep.name == "deep" and Line().name == "line"
    assert Line().make().path == "line/made"
    assert isinstance(deep, torch.nn.Module)


def test_functions():
    seen = []

    @modules.function(input_signature=[TensorSpec([None])], reduce_retracing=True)
    def double(x, flag=True):
        """Twice."""
        seen.append(type(x))
        return 2 * x if flag else x

    assert double(np.ones(2, "float32")).tolist() == [2, 2] and seen == [torch.Tensor]
    assert double([np.ones(1)], flag=False)[0].dtype is torch.float64
    assert double(3) == 6 and double.__doc__ == "Twice." and double.__name__ == "double"
    assert double.python_function(2) == 4
    with pytest.raises(NotImplementedError, match=r"model\.export"):
        double.get_concrete_function()


class Counted:
    calls = 0

    @modules.function
    def __call__(self):
        self.calls += 1
        return self.calls


def test_functions_are_methods_too():
    first, second = Counted(), Counted()
    assert (first(), first(), second()) == (1, 2, 1)


def test_custom_gradients_of_several():
    @modules.custom_gradient
    def both(x, y):
        return (x + 1, y * 2), lambda dx, dy: (dx * 10, dy * 100)

    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    first, second = both(x, y)
    (first.sum() + second.sum()).backward()
    assert x.grad.tolist() == [10, 10] and y.grad.tolist() == [100, 100]
