"""`get_state_tree` and `set_state_tree`: all variables by the parts of their paths."""

import numpy as np
import pytest
import torch

from torchkeras import layers as L
from torchkeras.models import Model, Sequential

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")


def trained():
    model = Sequential([L.Input((3,)), L.Dense(2, name="d"), L.BatchNormalization(name="n")])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, X[:, :2], verbose=0)
    return model


def test_the_tree_has_the_variables_themselves():
    model = trained()
    tree = model.get_state_tree()
    name = model.name
    assert list(tree) == [
        "trainable_variables",
        "non_trainable_variables",
        "optimizer_variables",
        "metrics_variables",
    ]
    assert tree["trainable_variables"][name]["d"]["kernel"] is model.layers[0].kernel
    assert list(tree["non_trainable_variables"][name]) == ["n"]
    assert (
        tree["optimizer_variables"][model.optimizer.name]["iteration"] is model.optimizer.iterations
    )
    assert list(tree["metrics_variables"]["loss"]) == ["total", "count"]


def test_a_tree_of_arrays_can_be_set_again():
    model = trained()
    tree = model.get_state_tree("numpy_array")
    before = model.predict(X, verbose=0)
    for variable in (*model.variables, *model.optimizer.variables):
        variable.assign(torch.zeros_like(variable))
    model.set_state_tree(tree)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    assert int(model.optimizer.iterations) == 1


def test_a_part_of_a_tree_leaves_the_rest():
    model = trained()
    kernel = model.layers[0].kernel.detach().clone()
    bias = {model.name: {"d": {"bias": [5.0, 6.0]}, "unknown": {"kernel": 1.0}}}
    model.set_state_tree({"trainable_variables": bias})
    assert model.layers[0].bias.tolist() == [5.0, 6.0]
    assert torch.equal(model.layers[0].kernel, kernel)


def test_a_model_that_is_not_compiled_has_no_optimizer():
    model = Sequential([L.Input((3,)), L.Dense(2)])
    assert not hasattr(model, "optimizer")
    assert model.get_state_tree()["optimizer_variables"] == {}


class Twins(Model):
    def __init__(self):
        super().__init__()
        self.a, self.b = L.Dense(1, name="twin"), L.Dense(1, name="twin")

    def call(self, x):
        return self.a(x) + self.b(x)


def test_two_variables_of_one_path():
    model = Twins()
    model(X)
    for read in (model.get_state_tree, model._get_variable_map):
        with pytest.raises(ValueError, match="path is found twice in the model: '.*twin/kernel'"):
            read()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m: m.get_state_tree("list"), "Invalid `value_format`"),
        (lambda m: m.set_state_tree({"weights": {}}), "Unknown variable name: weights"),
    ],
)
def test_what_there_is_not(use, message):
    with pytest.raises(ValueError, match=message):
        use(trained())


def test_variables_by_path():
    model = trained()
    found = model._get_variable_map()
    assert found[f"{model.name}/d/bias"] is model.layers[0].bias
    assert found[f"{model.optimizer.name}/learning_rate"] is model.optimizer.variables[1]
