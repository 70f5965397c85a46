import numpy as np
import pytest
import torch
from torch import Tensor

from torchkeras.graph.keras_tensor import KerasTensor
from torchkeras.graph.operation import OPERATIONS, Node, Operation, TorchFunction, op
from torchkeras.layers import Input
from torchkeras.models import Functional


@op(path="tests.ops.Shift")
def shift(x: Tensor, by: int = 1, scale: Tensor | None = None) -> Tensor:
    """Add a number, then maybe multiply."""
    x = torch.as_tensor(x) + by
    return x if scale is None else x * scale


def test_eager_calls_reach_the_function():
    assert shift(torch.tensor([1]), 2).tolist() == [3]
    assert shift(np.array([1]), by=2, scale=torch.tensor(2)).tolist() == [6]


def test_symbolic_calls_are_recorded_with_config_apart_from_tensors():
    x, y = Input((3,)), Input((3,))
    out = shift(x, scale=y, by=5)
    node = out._keras_history.operation._inbound_nodes[0]
    assert node.operation.get_config()["by"] == 5
    assert node.input_tensors == [x, y]
    assert out.shape == (None, 3)
    model = Functional([x, y], out)
    result = model([torch.ones(1, 3), torch.full((1, 3), 2.0)])
    assert result.tolist() == [[12.0] * 3]


def test_the_class_has_the_name_the_files_carry():
    cls = OPERATIONS["tests.ops.Shift"]
    assert cls.__name__ == "Shift" and shift.operation is cls
    assert cls(by=3).by == 3 and cls(3).by == 3
    assert cls(by=3)(torch.tensor(1)) == 4
    assert cls.from_config(cls(by=3).get_config()).by == 3
    with pytest.raises(TypeError, match="Shift takes"):
        cls(nonsense=1)


def test_operations_of_users():
    class Twice(Operation):
        def call(self, x):
            return 2 * x

    twice = Twice(name="t")
    x = Input((2,))
    out = twice(x)
    assert out.shape == (None, 2) and twice(torch.tensor(2)) == 4
    assert twice.input is x and twice.output is out
    twice(x)
    assert twice.output is out  # that of the first call, as in Keras
    with pytest.raises(ValueError, match="only 2 inbound nodes"):
        twice._get_node_attribute_at_index(2, "output_tensors", "output")
    with pytest.raises(AttributeError, match="never been called"):
        _ = Twice().input
    with pytest.raises(ValueError, match="name"):
        Twice(name="a/b")


def test_nodes_take_tensors_only():
    operation = Operation(name="o")
    with pytest.raises(ValueError, match="must be tensors"):
        Node(operation, (KerasTensor((1,)),), {}, outputs=[3])


def test_torch_functions_are_found_by_name_and_others_are_not():
    assert TorchFunction("torch.nn.functional.relu").function is torch.nn.functional.relu
    assert TorchFunction(torch.matmul).get_config()["function"] == "torch.matmul"
    named = ("torch.load", "os.system", "torch.Tensor.__reduce_ex__", "torch.save", "torch.half")
    for name in named:
        with pytest.raises(ValueError, match="not a torch function"):
            TorchFunction(name)


def test_errors_of_inference_name_the_operation():
    with pytest.raises(ValueError, match="Could not infer what 'matmul"):
        torch.matmul(Input((3,)), Input((2, 4)))
