import numpy as np
import pytest
import torch

from torchkeras import layers
from torchkeras.graph.lower import sort_graph
from torchkeras.layers import Input
from torchkeras.models import Model


def test_one_line_per_call_and_nothing_dead():
    x = Input((4,), name="x")
    y = layers.Dense(3, name="d")(x)
    layers.Dense(5, name="unused")(x)
    model = Model(x, torch.relu(y))
    body = [line.strip() for line in model.graph.code.splitlines() if "=" in line]
    assert body[0].startswith("d = self.d(x)") and "torch.relu(d)" in body[1]
    assert len(body) == 2 and "unused" not in model.graph.code


def test_the_generated_function_runs_as_a_graph_module_too():
    x = Input((4,))
    model = Model(x, layers.Dense(3)(x) + 1)
    batch = torch.rand(2, 4)
    assert torch.equal(model.graph(batch), model(batch))


def test_depth_decides_the_order_of_layers():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    deep = layers.Dense(4, name="deep2")(layers.Dense(4, name="deep1")(b))
    out = layers.Add(name="out")([layers.Dense(4, name="flat")(a), deep])
    graph = sort_graph([a, b], [out])
    names = [operation.name for operation in graph.operations]
    assert names == ["b", "a", "deep1", "flat", "deep2", "out"]
    assert graph.operations_by_depth[0][0].name == "out"


def test_disconnected_graphs_name_the_tensor():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    with pytest.raises(ValueError, match=r"(?s)not connected.*'b'"):
        Model(a, layers.add([a, b]))


def test_an_unused_input_is_allowed():
    a, b = Input((4,), name="a"), Input((2,), name="b")
    model = Model([a, b], layers.Dense(1)(a))
    assert model([torch.ones(3, 4), torch.ones(3, 2)]).shape == (3, 1)


def test_equal_names_are_refused():
    x = Input((4,))
    y = layers.Dense(4, name="same")(layers.Dense(4, name="same")(x))
    with pytest.raises(ValueError, match='"same" is used 2 times'):
        Model(x, y)


def test_deep_graphs_do_not_recurse():
    x = y = Input((2,))
    for _ in range(1500):
        y = y + 1.0
    assert Model(x, y)(torch.zeros(1, 2))[0, 0] == 1500


def test_constants_move_with_the_model_and_weights_among_them_train():
    x = Input((3,))
    weight = layers.Dense(3)
    weight.build((None, 3))
    model = Model(x, x * np.array([1.0, 2.0, 3.0], "float32") + torch.ones(3))
    assert model(torch.ones(1, 3)).tolist() == [[2.0, 3.0, 4.0]]
    assert model.double()._constants.c0.dtype == torch.float64
    assert list(model.state_dict()) == []


def test_names_that_python_or_the_model_has_taken():
    x = Input((3,), name="class")
    for name in ("training", "weights", "a.b", "1st", "forward"):
        x = layers.Dense(3, name=name)(x)
    model = Model(x._keras_history.operation._inbound_nodes[0].input_tensors[0], x)
    assert model(torch.ones(1, 3)).shape == (1, 3)
    full = Model.from_config(model.get_config())
    assert full(torch.ones(1, 3)).shape == (1, 3)


def test_shared_layers_and_call_arguments():
    x = Input((3,))
    dense, dropout = layers.Dense(3), layers.Dropout(0.5)
    y = dropout(dense(dense(x)), training=True)
    model = Model(x, y)
    outputs = model(torch.ones(200, 3))
    assert (outputs == 0).any()
    # What the recorded call says goes before the model's own mode.
    assert (model(torch.ones(200, 3), training=False) == 0).any()


class TestMasks:
    def build(self, *rest):
        x = Input((None,), dtype="int32", name="x")
        y = layers.Embedding(10, 4, mask_zero=True)(x)
        for layer in rest:
            y = layer(y)
        return Model(x, y)

    tokens = torch.tensor([[1, 2, 0, 0], [3, 4, 5, 0]])

    def eager(self, model):
        y = self.tokens
        for layer in model.layers[1:]:
            y = layer(y)
        return y

    def test_masks_reach_layers_through_those_that_pass_them(self):
        model = self.build(
            layers.Dropout(0.1),
            layers.LSTM(5, return_sequences=True),
            layers.Dense(3),
            layers.LSTM(2),
        )
        assert "mask" in model.graph.code
        torch.testing.assert_close(model(self.tokens), self.eager(model))

    def test_no_mask_is_computed_where_nobody_takes_it(self):
        with pytest.warns(UserWarning, match="destroy the mask"):
            model = self.build(layers.EinsumDense("btd,du->bu", output_shape=3))
        assert "compute_mask" not in model.graph.code

    def test_outputs_carry_their_mask(self):
        model = self.build(layers.Dense(3))
        assert model(self.tokens)._keras_mask.tolist() == (self.tokens != 0).tolist()

    def test_layers_of_users_find_masks_on_tensors(self):
        class Block(layers.Layer):
            def __init__(self):
                super().__init__()
                self.lstm = layers.LSTM(3)

            def call(self, x):
                return self.lstm(x)

        with pytest.warns(UserWarning, match="destroy the mask"):
            model = self.build(Block())
            expected = self.eager(model)
            torch.testing.assert_close(model(self.tokens), expected)

    def test_masks_that_come_in_with_the_data(self):
        x = Input((4, 3))
        inner = Model(x, layers.LSTM(2)(x))
        batch = torch.rand(2, 4, 3)
        mask = torch.tensor([[True, True, False, False], [True] * 4])
        with_mask = inner(batch, mask=mask)
        expected = inner.layers[1](batch, mask=mask)
        torch.testing.assert_close(with_mask, expected)
