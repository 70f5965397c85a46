import numpy as np
import pytest
import torch

from torchkeras.graph.keras_tensor import KerasTensor, any_symbolic, is_keras_tensor
from torchkeras.layers import Input


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (bool, TypeError),
        (int, ValueError),
        (float, ValueError),
        (list, NotImplementedError),
        (np.asarray, ValueError),
    ],
    ids=["bool", "int", "float", "iteration", "numpy"],
)
def test_it_has_no_values(use, error):
    with pytest.raises(error, match="any actual numerical value"):
        use(Input((2,)))


def test_attributes():
    x = KerasTensor((None, 3), "int32", name="x")
    assert (x.shape, x.dtype, x.ndim, x.size(1)) == ((None, 3), "int32", 2, 3)
    assert is_keras_tensor(x) and not is_keras_tensor(torch.ones(1))
    assert KerasTensor((1,), sparse=True).sparse
    with pytest.raises(ValueError, match="at the same time"):
        KerasTensor((1,), sparse=True, ragged=True)
    with pytest.raises(TypeError, match="no such arguments: colour"):
        KerasTensor((1,), colour="red")
    with pytest.raises(AttributeError, match="`shape` attribute of KerasTensor is immutable"):
        x.shape = (3,)


def test_any_symbolic_looks_into_structures():
    x = KerasTensor((1,))
    assert any_symbolic(1, [2, {"a": (x,)}])
    assert not any_symbolic(1, [], {"a": (torch.ones(1), "x")}, np.ones(2))


def test_torch_functions_and_methods_of_python_are_recorded():
    x = Input((4, 3))
    assert torch.relu(x).shape == (None, 4, 3)
    assert torch.cat([x, x], dim=1).shape == (None, 8, 3)
    assert torch.nn.functional.softmax(x, dim=-1).dtype == "float32"
    assert (x[:, 0] * 2 > 1).dtype == "bool"
    assert (2 - x).shape == (-x).shape == abs(x).shape == x.shape
