"""Losses and metrics bound to outputs: structures, weights, names, and what does not fit."""

import numpy as np
import pytest
import torch

from torchkeras import losses, metrics
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
            "path '2' in the `loss` argument, can't be found",
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
