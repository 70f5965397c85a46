"""Losses and metrics bound to outputs: structures, weights, names, and what does not fit."""

import collections

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import losses, metrics, tree
from torchkeras.training.outputs import CompileLoss, CompileMetrics

RNG = np.random.default_rng(0)


def tensor(*shape):
    return torch.tensor(RNG.normal(size=shape), dtype=torch.float32)


Y, P = tensor(6, 2), tensor(6, 2)
Z, Q = tensor(6, 1), tensor(6, 1)
MSE_Y, MSE_Z = ((Y - P) ** 2).mean(), ((Z - Q) ** 2).mean()
MAE_Z = (Z - Q).abs().mean()
W = torch.tensor(RNG.uniform(0.5, 2, (6,)), dtype=torch.float32)


def test_one_output():
    torch.testing.assert_close(CompileLoss("mse")(Y, P), MSE_Y)
    torch.testing.assert_close(CompileLoss(["mse"])(Y, P), MSE_Y)
    torch.testing.assert_close(CompileLoss("mse", 0.5)(Y, P), 0.5 * MSE_Y)
    torch.testing.assert_close(CompileLoss(torch.nn.MSELoss())(Y, P), MSE_Y)
    torch.testing.assert_close(CompileLoss(lambda y, p: (y - p).abs())(Z, Q), MAE_Z)


def test_sample_weights():
    weighted = (((Z - Q) ** 2)[:, 0] * W).mean()
    torch.testing.assert_close(CompileLoss("mse")(Z, Q, W), weighted)
    both = CompileLoss("mse")([Z, Z], [Q, Q], W)
    torch.testing.assert_close(both, 2 * weighted)
    one = CompileLoss("mse")([Z, Z], [Q, Q], [W, None])
    torch.testing.assert_close(one, weighted + MSE_Z)


def test_several_losses_for_one_output():
    loss = CompileLoss(["mse", "mae"])
    torch.testing.assert_close(loss(Z, Q), MSE_Z + MAE_Z)


NAMES = ["y", "z"]
LAYOUTS = [
    ("mse", None, [Y, Z], [P, Q], MSE_Y + MSE_Z),
    (["mse", "mae"], None, [Y, Z], [P, Q], MSE_Y + MAE_Z),
    (["mse", "mae"], [2.0, 0.5], [Y, Z], [P, Q], 2 * MSE_Y + 0.5 * MAE_Z),
    (["mse", None], None, [Y, Z], [P, Q], MSE_Y),
    ({"z": "mae", "y": "mse"}, {"z": 3.0, "y": 1.0}, [Y, Z], [P, Q], MSE_Y + 3 * MAE_Z),
    ({"y": "mse"}, None, [Y, Z], [P, Q], MSE_Y),
    (["mse", "mae"], None, {"z": Z, "y": Y}, [P, Q], MSE_Y + MAE_Z),
    ({"z": "mae", "y": "mse"}, None, {"z": Z, "y": Y}, {"y": P, "z": Q}, MSE_Y + MAE_Z),
    ("mse", None, (Y, Z), [P, Q], MSE_Y + MSE_Z),
    (["mse", {"b": "mae"}], None, [Y, {"b": Z}], [P, {"b": Q}], MSE_Y + MAE_Z),
]


@pytest.mark.parametrize(("loss", "weights", "y_true", "y_pred", "expected"), LAYOUTS)
def test_several_outputs(loss, weights, y_true, y_pred, expected):
    bound = CompileLoss(loss, weights, output_names=NAMES)
    for _ in range(2):
        torch.testing.assert_close(bound(y_true, y_pred), expected)


def test_the_losses_of_the_outputs_are_noted_unweighted():
    bound = CompileLoss(["mse", "mae"], [2.0, 0.5], output_names=NAMES)
    bound([Y, Z], [P, Q])
    bound([Y, Z], [P, Q])
    assert [m.name for m in bound.metrics] == ["y_loss", "z_loss"]
    assert [float(m.result()) for m in bound.metrics] == pytest.approx([float(MSE_Y), float(MAE_Z)])


@pytest.mark.parametrize(
    ("kwargs", "y_true", "message"),
    [
        ({"loss": {"yy": "mse"}}, [Y, Z], "names an output .* 'yy'"),
        (
            {"loss": ["mse", "mse", "mse"]},
            [Y, Z],
            "path '2' in the `loss`.* can't be found",
        ),
        ({"loss": "mse", "loss_weights": [1.0, 2.0, 3.0]}, [Y, Z], "must match the number of loss"),
        ({"loss": "mse"}, [Y, Z, Z], "different structures"),
        ({"loss": "mse"}, {"y": Y, "zz": Z}, "'zz'"),
        ({"loss": "mse"}, None, "no targets `y`"),
    ],
)
def test_what_does_not_fit(kwargs, y_true, message):
    with pytest.raises(ValueError, match=message):
        CompileLoss(**kwargs, output_names=NAMES)(y_true, [P, Q])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CompileLoss("mean_squared_eror"), "mean_squared_error"),
        (lambda: CompileLoss("mse", loss_weights="x"), "`loss_weights` must be"),
        (lambda: CompileMetrics("mae", None), r"write metrics=\['mae'\]"),
        (lambda: CompileMetrics(["mean_absolute_eror"], None), "mean_absolute_error"),
    ],
)
def test_mistakes_show_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        (torch.tensor([[1.0], [0.0]]), torch.rand(2, 1), metrics.BinaryAccuracy),
        (torch.tensor([1, 0]), torch.rand(2, 3), metrics.SparseCategoricalAccuracy),
        (torch.tensor([[1], [0]]), torch.rand(2, 3), metrics.SparseCategoricalAccuracy),
        (torch.eye(3)[:2], torch.rand(2, 3), metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_by_shape(y_true, y_pred, expected, name):
    bound = CompileMetrics([name], None)
    bound.build(y_true, y_pred)
    assert type(bound.metrics[0]) is expected and bound.metrics[0].name == name


def test_crossentropy_by_shape():
    probs = torch.softmax(torch.rand(4, 3), -1)
    labels = torch.tensor([0, 2, 1, 1])
    expected = -probs.log()[torch.arange(4), labels].mean()
    torch.testing.assert_close(CompileLoss("ce")(labels, probs), expected)
    torch.testing.assert_close(CompileLoss("crossentropy")(torch.eye(3)[labels], probs), expected)


def test_names_in_the_logs():
    bound = CompileMetrics(["mae", "mae"], ["mae"])
    bound.update_state(Z, Q, W)
    assert list(bound.result()) == ["mae", "mae_1", "weighted_mae"]
    bound = CompileMetrics({"z": ["mae"], "y": "mse"}, {"y": ["mse"]}, output_names=NAMES)
    bound.update_state([Y, Z], [P, Q], W)
    assert list(bound.result()) == ["y_mse", "z_mae", "y_weighted_mse"]


def test_only_weighted_metrics_see_the_weights():
    bound = CompileMetrics(["mae"], ["mae"])
    bound.update_state(Z, Q, W)
    values = bound.result()
    errors = (Z - Q).abs()[:, 0]
    torch.testing.assert_close(values["mae"], errors.mean())
    torch.testing.assert_close(values["weighted_mae"], (errors * W).sum() / W.sum())
    bound.reset_state()
    bound.update_state(Z, Z)
    assert float(bound.result()["mae"]) == 0.0


def test_functions_and_objects():
    def worst(y_true, y_pred):
        return (y_true - y_pred).abs().amax(dim=-1)

    mean = metrics.MeanAbsoluteError(name="mine")
    bound = CompileMetrics([worst, mean], None)
    bound.update_state(Y, P)
    values = bound.result()
    assert list(values) == ["worst", "mine"]
    torch.testing.assert_close(values["worst"], (Y - P).abs().amax(-1).mean())
    assert bound.metrics[1] is mean


def test_no_result_before_the_first_batch():
    with pytest.raises(ValueError, match="not yet been built"):
        CompileMetrics(["mae"], None).result()


def test_masks_of_the_output():
    pred = Y.clone() + 1
    pred[3:] += 100
    pred._keras_mask = torch.tensor([True] * 3 + [False] * 3)
    assert float(CompileLoss("mse")(Y, pred)) == pytest.approx(1.0)
    bound = CompileMetrics(["mae"], None)
    bound.update_state(Y, pred)
    assert float(bound.result()["mae"]) == pytest.approx(1.0)


def test_weights_are_not_changed_by_a_mask():
    pred = Y.clone()
    pred._keras_mask = torch.tensor([True] * 3 + [False] * 3)
    weights = torch.ones(6)
    CompileLoss("mse")(Y, pred, weights)
    assert weights.tolist() == [1.0] * 6


def test_a_loss_without_reduction_is_averaged():
    loss = CompileLoss(losses.MeanSquaredError(reduction="none"))
    torch.testing.assert_close(loss(Y, P), MSE_Y)


# Structures of outputs ---------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "y z")


def both(y_true, y_pred):
    """A loss of a structure of two outputs."""
    true, pred = tree.flatten(y_true), tree.flatten(y_pred)
    assert type(y_true) is type(y_pred) and len(true) == 2
    return (true[0] - pred[0]).square().mean() + (true[1] - pred[1]).abs().mean()


BOTH = MSE_Y + MAE_Z
STRUCTURED = [
    # losses, targets, outputs, the total, the names of the parts
    ([both, ("mse", "mae")], [Y, Z], (P, Q), 2 * BOTH, ["y_z", "y", "z"]),
    (
        [both, {"a": "mse", "b": "mae"}],
        {"a": Y, "b": Z},
        {"a": P, "b": Q},
        2 * BOTH,
        ["a_b", "a", "b"],
    ),
    ([both, Pair("mse", "mae")], Pair(Y, Z), Pair(P, Q), 2 * BOTH, ["y_z", "y", "z"]),
    ({"in": both}, {"in": (Y, Z)}, {"in": (P, Q)}, BOTH, None),
    (
        {"in": [both, (None, "mae")], "out": "mse"},
        {"in": (Y, Z), "out": Z},
        {"in": (P, Q), "out": Q},
        BOTH + MAE_Z + MSE_Z,
        ["in", "in/c1", "out"],
    ),
    ({"in": {"z": "mae"}}, {"in": {"y": Y, "z": Z}}, {"in": {"y": P, "z": Q}}, MAE_Z, None),
    (
        {"out": "mse", "in": ["mse", "mae"]},
        {"in": [Y, Z], "out": Z},
        {"in": (P, Q), "out": Q},
        BOTH + MSE_Z,
        ["out", "in/c0", "in/c1"],
    ),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred", "expected", "names"), STRUCTURED)
def test_losses_of_structures(loss, y_true, y_pred, expected, names):
    count = len(tree.flatten(y_pred))
    labels = NAMES if count == 2 else [f"c{i}" for i in range(count)]
    bound = CompileLoss(loss, output_names=labels)
    for _ in range(2):
        torch.testing.assert_close(bound(y_true, y_pred), expected)
    if names is not None:
        assert [metric.name for metric in bound.metrics] == [f"{name}_loss" for name in names]


def test_building_again_forgets_what_was_bound():
    bound = CompileLoss("mse", output_names=NAMES)
    for _ in range(2):
        bound.build([Y, Z], [P, Q])
    torch.testing.assert_close(bound([Y, Z], [P, Q]), MSE_Y + MSE_Z)
    assert len(bound.metrics) == 2
    measured = CompileMetrics([["mae"], ["mae"]], None)
    for _ in range(2):
        measured.build([Y, Z], [P, Q])
    assert len(measured.metrics) == 2


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (3.0, 3 * MSE_Y + 3 * MAE_Z),
        ([3.0, 2.0], 3 * MSE_Y + 2 * MAE_Z),
        ({"b": 2.0}, MSE_Y + 2 * MAE_Z),
        ({"a": np.array(3.0), "b": 0.0}, 3 * MSE_Y),
    ],
)
def test_weights_of_the_losses_in_a_dict(weights, expected):
    bound = CompileLoss({"a": "mse", "b": "mae"}, weights)
    torch.testing.assert_close(
        bound({"a": Y, "b": Z}, {"a": P, "b": Q}), expected, check_dtype=False
    )


@pytest.mark.parametrize(
    ("loss", "weights", "message"),
    [
        (
            {"a": "mse", "c": "mse"},
            None,
            "path 'c' in the `loss` .*be found in either",
        ),
        ({"a": {"d": "mse"}}, None, "path 'a/d' .* can't be found in the model's output"),
        ({"a": "mse"}, {"c": 1.0}, "`loss_weights` names an output .* 'c'"),
        ({"a": "mse", "b": "mse"}, [1.0], "must match the number of losses, got 2 losses and 1"),
    ],
)
def test_losses_of_outputs_that_there_are_not(loss, weights, message):
    bound = CompileLoss(loss, weights)
    with pytest.raises(ValueError, match=message) as caught:
        bound({"a": Y, "b": Z}, {"a": P, "b": Q})
    if "match" not in message:
        assert isinstance(caught.value, KeyError)  # as in Keras


def test_metrics_in_the_structure_of_the_outputs():
    spec = {"in": [["mae"], "mse"], "out": "mae"}
    bound = CompileMetrics(spec, None, output_names=["c0", "c1", "c2"])
    bound.update_state({"in": (Y, Z), "out": Z}, {"in": [P, Q], "out": Q})
    values = bound.result()
    assert list(values) == ["c0_mae", "c1_mse", "c2_mae"]
    torch.testing.assert_close(values["c1_mse"], MSE_Z)


def test_metrics_stand_in_the_order_of_the_model():
    bound = CompileMetrics({"a": "mae", "b": "mse"}, None, output_names=["b", "a"])
    bound.update_state({"a": Y, "b": Z}, {"a": P, "b": Q})
    assert list(bound.result()) == ["b_mse", "a_mae"]
    torch.testing.assert_close(bound.result()["b_mse"], MSE_Z)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"c": "mae"}, "(?s)Invalid `metrics`: it names an output .* 'c'"),
        (["mae", "mae", "mae"], "(?s)Invalid `metrics`: it has another structure"),
    ],
)
def test_metrics_of_outputs_that_there_are_not(spec, message):
    with pytest.raises(ValueError, match=message):
        CompileMetrics(spec, None, output_names=NAMES).build([Y, Z], [P, Q])


def test_a_compute_loss_may_split_the_outputs():
    class Split(keras.Model):
        def compute_loss(self, x, y, y_pred, sample_weight, **kwargs):
            return super().compute_loss(x, y, [y_pred, 2 * y_pred], sample_weight, **kwargs)

    inputs = keras.Input((2,))
    model = Split(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", ["mse", "mae"])
    history = model.fit(P, [Z, Z], verbose=0).history
    assert sorted(history) == ["loss", "mae_loss", "mse_loss"]
