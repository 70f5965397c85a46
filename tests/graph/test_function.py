import numpy as np
import pytest
import torch

from torchkeras import Input, Model, layers, ops
from torchkeras.graph.arguments import SymbolicArguments
from torchkeras.graph.function import Function, make_node_key, map_graph
from torchkeras.graph.keras_tensor import KerasTensor


@pytest.fixture
def sums():
    a, b = KerasTensor((None, 3), name="a"), KerasTensor((None, 3), name="b")
    both = ops.add(a, b)
    return Function({"a": a, "b": b}, {"double": both * 2, "square": both**2}, name="sums")


def test_calls_on_arrays_and_symbols(sums):
    out = sums({"a": np.ones((2, 3), "float32"), "b": torch.full((2, 3), 2.0)})
    assert out["double"].tolist() == [[6.0] * 3] * 2 and out["square"].tolist() == [[9.0] * 3] * 2
    symbols = {"a": KerasTensor((4, 3)), "b": KerasTensor((4, 3))}
    again = sums(symbols)
    assert again["double"].shape == (4, 3)
    outer = Function(symbols, again["double"] + 1)
    assert outer({"a": torch.zeros(4, 3), "b": torch.zeros(4, 3)}).tolist() == [[1.0] * 3] * 4


def test_shapes(sums):
    shapes = sums.compute_output_shape({"a": (5, 3), "b": (5, 3)})
    assert shapes == {"double": (5, 3), "square": (5, 3)}
    spec = sums.compute_output_spec({"a": KerasTensor((None, 3)), "b": KerasTensor((None, 3))})
    assert spec["square"].shape == (None, 3) and spec["square"]._keras_history is None


def test_what_it_is_made_of(sums):
    assert [x.name for x in sums.inputs] == ["a", "b"] and len(sums.outputs) == 2
    assert [type(op).__name__ for op in sums.operations] == ["Add", "Multiply", "Power"]
    assert sums.operations is not sums.operations
    keys, by_depth, operations, _ = map_graph(sums.inputs, sums.outputs)
    assert keys == sums._nodes == {make_node_key(op, 0) for op in operations}
    assert {depth: len(nodes) for depth, nodes in by_depth.items()} == {0: 2, 1: 1}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (lambda x: x, "invalid input structure"),
        (lambda x: {"a": x, "b": torch.ones(2, 4)}, "(?s)incompatible inputs.*'b'"),
        (lambda x: {"a": x[0], "b": x}, "(?s)incompatible inputs.*'a'"),
    ],
)
def test_wrong_inputs(sums, inputs, message):
    with pytest.raises(ValueError, match=message):
        sums(inputs(torch.ones(2, 3)))


def test_no_graph():
    x, stranger = KerasTensor((2,)), KerasTensor((2,), name="stranger")
    with pytest.raises(ValueError, match="`outputs` argument cannot be empty"):
        Function(x, [])
    with pytest.raises(ValueError, match="`inputs` argument cannot be empty"):
        Function([], x)
    with pytest.raises(ValueError, match="(?s)not connected to `inputs`.*stranger"):
        Function(x, x + stranger)


def test_intermediate_inputs_cut_the_graph():
    x = Input((3,))
    middle = x * 2
    function = Function(middle, middle + 1)
    assert [type(op).__name__ for op in function.operations] == ["Add"]
    assert function(torch.ones(1, 3)).tolist() == [[2.0] * 3]


def test_graphs_of_models_run_with_something_else():
    x = Input((3,))
    hidden = layers.Dense(2, name="hidden")(x)
    model = Model(x, ops.relu(hidden))
    called = []

    def note(operation, *args, **kwargs):
        called.append(operation.name)
        return operation(*args, **kwargs)

    data = torch.ones(1, 3)
    torch.testing.assert_close(model._run_through_graph(data, call_fn=note), model(data))
    assert called[0] == "hidden" and len(called) == 2
    spec = model._run_through_graph(KerasTensor((7, 3)), lambda op: op.compute_output_spec)
    assert spec.shape == (7, 2)


def test_symbolic_arguments():
    a, b = KerasTensor((1,)), KerasTensor((2,))
    arguments = SymbolicArguments(a, [1, b], flag=b)
    assert arguments.keras_tensors == [a, b, b] and arguments._single_positional_tensor is None
    assert arguments.fill_in({id(b): 5}) == ((None, [1, 5]), {"flag": 5})
    assert arguments.convert(lambda x: 0) == ((0, [0, 0]), {"flag": 0})
    assert SymbolicArguments(a)._single_positional_tensor is a
