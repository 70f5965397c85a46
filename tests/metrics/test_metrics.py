"""Metrics: state, means, accuracies and regressions against NumPy, scikit-learn and by hand.

Values are float32 sums of at most a few hundred terms of order 1; tolerances allow their rounding.
"""

import copy
import pickle

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchkeras import config, losses, metrics
from torchkeras.graph.context import CONTEXT
from torchkeras.variables import Variable

rng = np.random.default_rng(0)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}

# Arguments with which each class is made, where it needs any, or defaults do not fit 4 classes.
ARGUMENTS = {
    "TopKCategoricalAccuracy": {"k": 2},
    "SparseTopKCategoricalAccuracy": {"k": 2},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "IoU": {"num_classes": 4, "target_class_ids": [0, 1]},
    "MeanIoU": {"num_classes": 4},
    "OneHotIoU": {"num_classes": 4, "target_class_ids": [0, 1]},
    "OneHotMeanIoU": {"num_classes": 4},
    "MeanMetricWrapper": {"fn": losses.mean_squared_error},
}
CLASSES = [
    name
    for name in metrics.__all__
    if isinstance(getattr(metrics, name), type) and name != "Metric"
]
COUNTS = ["Sum", "TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"]
SAMPLE_WEIGHTED = [name for name in CLASSES if "IoU" not in name]


def make(kind, **kwargs):
    return getattr(metrics, kind)(**ARGUMENTS.get(kind, {}), **kwargs)


def batch(name, device=None, requires_grad=False):
    labels = torch.tensor([0, 1, 2, 3, 1, 2])
    one_hot = torch.eye(4)[labels]
    y_pred = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)).requires_grad_(
        requires_grad
    )
    if name in ("Mean", "Sum"):
        values = (y_pred,)
    elif name.startswith("Sparse"):
        values = (labels, y_pred)
    elif name in ("IoU", "MeanIoU"):
        values = (labels, labels.flip(0))
    else:
        values = (one_hot, y_pred)
    return values if device is None else tuple(x.to(device) for x in values)


# Every metric ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_update_reset_and_copy(name):
    metric = make(name)
    first = metric(*batch(name)).clone()
    metric.update_state(*batch(name))
    twice = metric.result().clone()
    if name not in COUNTS:
        torch.testing.assert_close(first, twice, equal_nan=True)
    for copied in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        torch.testing.assert_close(copied.result(), twice, equal_nan=True)
        copied.update_state(*batch(name))
    torch.testing.assert_close(metric.result(), twice, equal_nan=True)
    metric.reset_state()
    assert all((v == 0).all() for v in metric.variables)
    torch.testing.assert_close(metric(*batch(name)), first, equal_nan=True)


@pytest.mark.parametrize("name", CLASSES)
def test_state_never_joins_the_graph(name):
    metric = make(name)
    metric.update_state(*batch(name, requires_grad=True))
    assert torch.is_grad_enabled()
    assert metric.variables and all(isinstance(v, Variable) for v in metric.variables)
    assert not any(v.requires_grad or v.grad_fn for v in metric.variables)
    assert not metric.result().requires_grad


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("where", ["built on meta", "moved to meta"])
def test_everything_runs_on_the_meta_device(name, where):
    """An `.item()`, a `bool(tensor)` or a stray CPU tensor would raise."""
    if where == "built on meta":
        with config.device("meta"):
            metric = make(name)
    else:
        metric = make(name)
        variables = metric.variables
    data = batch(name, "meta")
    metric.update_state(*data)
    if name in SAMPLE_WEIGHTED:
        metric.update_state(*data, sample_weight=torch.ones(6, device="meta"))
    result = metric.result()
    assert result.is_meta
    assert all(v.is_meta for v in metric.variables)
    metric.reset_state()
    if where == "moved to meta":
        assert all(any(v is w for w in metric.variables) for v in variables)  # same objects
        metric.update_state(*batch(name))  # and back: values on meta are lost
        expected = make(name)(*batch(name))
        torch.testing.assert_close(metric.result(), expected, equal_nan=True)


@pytest.mark.parametrize("name", CLASSES)
def test_nothing_happens_during_shape_inference(name):
    metric = make(name)
    metric.update_state(*batch(name))
    before = [v.clone() for v in metric.variables]
    former = CONTEXT.set_view(None, True)
    try:
        metric.update_state(*batch(name, "meta"))
    finally:
        CONTEXT.set_view(*former)
    for a, b in zip(before, metric.variables, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", CLASSES)
def test_configs(name):
    metric = make(name, name="mine", dtype="float64")
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert again.name == "mine"


@pytest.mark.parametrize(
    "name", ["Mean", "BinaryAccuracy", "SparseCategoricalAccuracy", "AUC", "Precision"]
)
def test_updates_trace_into_one_graph(name):
    metric, expected = make(name), make(name)
    data = batch(name)
    traced = torch.compile(lambda *x: metric.update_state(*x), fullgraph=True, backend="eager")
    for _ in range(3):
        traced(*data)
        expected.update_state(*data)
    for a, b in zip(metric.variables, expected.variables, strict=True):
        torch.testing.assert_close(a.detach(), b.detach())
    torch._dynamo.reset()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", CLASSES)
def test_cuda_equals_cpu(name):
    metric, expected = make(name), make(name)
    data = batch(name, "cuda")
    metric.update_state(*data)  # the first one moves the state, and makes constants
    metric.reset_state()
    torch.cuda.set_sync_debug_mode("error")
    try:
        metric.update_state(*data)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(v.is_cuda for v in metric.variables)
    expected.update_state(*batch(name))
    torch.testing.assert_close(metric.result().cpu(), expected.result(), equal_nan=True)


# Mean and Sum ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mean_over_batches_equals_numpy(data):
    metric = metrics.Mean(dtype="float64")
    values, weights = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        size = data.draw(st.integers(1, 5))
        numbers = st.lists(st.floats(-1e3, 1e3), min_size=size, max_size=size)
        x = np.array(data.draw(numbers))
        w = np.abs(data.draw(numbers)) if data.draw(st.booleans()) else np.ones(size)
        metric.update_state(x, None if (w == 1).all() else w)
        values.extend(x)
        weights.extend(w)
    total = np.sum(weights)
    expected = np.dot(values, weights) / total if total else 0.0
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-9, atol=1e-9)


def test_mean_knows_its_count_whenever_somebody_looks():
    metric = metrics.Mean()
    metric.update_state(torch.ones(5, 3))
    metric.update_state(torch.ones(2), sample_weight=[1.0, 2.0])
    metric.add_sum(torch.tensor(4.0), 4)
    metric.add_mean(torch.tensor(0.5), 2)
    assert metric.count == 5 + 3 + 4 + 2
    assert metric.total == 5 + 3 + 4 + 1
    assert [float(v) for v in metric.variables] == [13.0, 14.0]
    metric.update_state(torch.ones(1))
    assert metric.variables[1] == 15
    moved = metrics.Mean()
    moved.add_mean(torch.tensor(0.5, device="meta"), 2)
    assert moved.total.is_meta and moved.variables[1].is_meta
    metric.count.assign(26.0)
    metric.total.assign(13.0)
    assert metric.result() == 0.5


def test_mean_of_nothing_and_of_nan():
    metric = metrics.Mean()
    assert metric.result() == 0
    metric.update_state(torch.zeros(0))
    assert metric.result() == 0
    metric.update_state(torch.tensor([float("nan")]))
    assert metric.result().isnan()


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"sample_weight: \(3,\)"):
        metrics.Mean().update_state(torch.ones(4), torch.ones(3))


def test_a_mask_on_the_predictions_counts_as_weights():
    y_pred = torch.tensor([[0.9], [0.1], [0.8]])
    y_pred._keras_mask = torch.tensor([True, True, False])
    metric = metrics.BinaryAccuracy()
    metric.update_state(torch.ones(3, 1), y_pred)
    assert metric.result() == 0.5 and metric.count == 2
    metric.update_state(torch.ones(3, 1), y_pred, sample_weight=np.array([0.0, 1.0, 1.0]))
    assert metric.count == 3 and metric.total == 1


def test_wrapped_functions():
    def error(y_true, y_pred, power=1):
        return (y_true - y_pred).abs() ** power

    metric = metrics.MeanMetricWrapper(error, name="cubic", power=3)
    assert metric(torch.zeros(2, 1), torch.tensor([[1.0], [2.0]])) == 4.5
    # a whole Loss, and PyTorch's own
    assert (
        metrics.resolve(losses.Huber(), (2, 1), (2, 1))(torch.zeros(2, 1), torch.ones(2, 1)) == 0.5
    )
    module = metrics.resolve(torch.nn.MSELoss(), (2, 1), (2, 1))
    assert (module.name, module(torch.zeros(2), 2 * torch.ones(2, 1))) == ("mse_loss", 4.0)


# Accuracies --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**31))
def test_accuracies_equal_scikit_learn(size, classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size)
    scores = rng.permuted(np.tile(np.arange(classes), (size, 1)), axis=1) / classes  # no ties
    expected = sklearn.metrics.accuracy_score(labels, scores.argmax(-1))
    one_hot = np.eye(classes)[labels]
    found = [
        metrics.SparseCategoricalAccuracy()(labels, scores),
        metrics.SparseCategoricalAccuracy()(labels[:, None].astype("float32"), scores),
        metrics.CategoricalAccuracy()(one_hot, scores),
        metrics.CategoricalAccuracy()(torch.tensor(one_hot).bool(), torch.tensor(scores)),
        metrics.Accuracy()(labels, scores.argmax(-1)),
        metrics.TopKCategoricalAccuracy(k=1)(one_hot, scores),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for k in range(1, classes + 1):
        among = (np.argsort(-scores, -1)[:, :k] == labels[:, None]).any(-1).mean()
        for metric, y_true in (
            (metrics.SparseTopKCategoricalAccuracy(k), labels),
            (metrics.TopKCategoricalAccuracy(k), one_hot),
        ):
            np.testing.assert_allclose(metric(y_true, scores), among, rtol=1e-6)


@pytest.mark.parametrize("true_shape", [(6,), (6, 1)])
@pytest.mark.parametrize("pred_shape", [(6,), (6, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool, torch.float16])
def test_binary_accuracy_aligns_columns_and_vectors(true_shape, pred_shape, dtype):
    y_true = torch.tensor([1, 0, 1, 1, 0, 0]).to(dtype).reshape(true_shape)
    y_pred = torch.tensor([0.9, 0.6, 0.5, 0.51, 0.2, 0.1]).reshape(pred_shape)
    metric = metrics.BinaryAccuracy()
    assert abs(metric(y_true, y_pred) - 4 / 6) < 1e-6
    assert metric.count == 6


def test_binary_accuracy_of_several_labels_averages_per_sample():
    metric = metrics.BinaryAccuracy()
    metric.update_state(
        torch.ones(2, 4), torch.tensor([[0.9, 0.9, 0.9, 0.1], [0.1, 0.1, 0.1, 0.9]])
    )
    assert (metric.total, metric.count, metric.result()) == (1.0, 2.0, 0.5)


@pytest.mark.parametrize(
    "name, y_true, y_pred",
    [
        ("binary_accuracy", (4, 2), (4, 3)),
        ("sparse_categorical_accuracy", (5,), (4, 3)),
        ("categorical_accuracy", (5, 3), (4, 3)),
        ("mean_squared_error", (4, 2), (4, 3)),
        ("precision", (4, 2), (4, 3)),
    ],
)
def test_shape_errors_name_the_metric_and_the_shapes(name, y_true, y_pred):
    metric = metrics.resolve(name, y_true, y_pred)
    with pytest.raises(ValueError) as error:
        metric.update_state(torch.ones(y_true), torch.rand(y_pred))
    message = str(error.value)
    assert name in message.lower() and str(y_pred) in message and str(y_true) in message


def test_arguments_of_wrong_kinds_are_named():
    with pytest.raises(ValueError, match="`axis`"):
        metrics.PearsonCorrelation(axis=[])
    with pytest.raises(ValueError, match="`num_regressors`"):
        metrics.R2Score(num_regressors=float("nan"))
    with pytest.raises(TypeError, match="`thresholds`"):
        metrics.AUC(thresholds=["a"])


def test_no_class_is_among_the_best_none():
    y_pred = torch.rand(2, 2)
    assert metrics.TopKCategoricalAccuracy(k=0)(torch.eye(2), y_pred) == 0.0
    assert metrics.SparseTopKCategoricalAccuracy(k=0)(torch.tensor([1, 0]), y_pred) == 0.0


# Regression and correlation ----------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_metrics_equal_scikit_learn(weighted):
    y_true, y_pred = rng.random((30, 3)) + 0.5, rng.random((30, 3)) + 0.5
    weights = rng.random(30) if weighted else None
    for name, expected in (
        ("MeanSquaredError", sklearn.metrics.mean_squared_error),
        ("MeanAbsoluteError", sklearn.metrics.mean_absolute_error),
        ("MeanSquaredLogarithmicError", sklearn.metrics.mean_squared_log_error),
        ("R2Score", sklearn.metrics.r2_score),
        (
            "MeanAbsolutePercentageError",
            lambda *a, **k: 100 * sklearn.metrics.mean_absolute_percentage_error(*a, **k),
        ),
    ):
        metric = make(name)
        for part in (slice(0, 7), slice(7, 30)):
            part_weights = None if weights is None else weights[part]
            metric.update_state(y_true[part], y_pred[part], part_weights)
        wanted = expected(y_true, y_pred, sample_weight=weights)
        np.testing.assert_allclose(metric.result(), wanted, rtol=1e-4, err_msg=name)


def test_adjusted_r2():
    y_true, y_pred = rng.random((30, 1)), rng.random((30, 1))
    plain = sklearn.metrics.r2_score(y_true, y_pred)
    metric = metrics.R2Score(num_regressors=3)
    np.testing.assert_allclose(metric(y_true, y_pred), 1 - (1 - plain) * 29 / 26, rtol=1e-4)
    small = metrics.R2Score(num_regressors=3)
    small.update_state(y_true[:4], y_pred[:4])
    with pytest.warns(UserWarning, match="no degree of freedom"):
        score = small.result()
    np.testing.assert_allclose(score, sklearn.metrics.r2_score(y_true[:4], y_pred[:4]), rtol=1e-4)


def test_correlations():
    y_true, y_pred = rng.random((5, 20)), rng.random((5, 20))
    pearson = [scipy.stats.pearsonr(t, p)[0] for t, p in zip(y_true, y_pred, strict=True)]
    np.testing.assert_allclose(metrics.pearson_correlation(y_true, y_pred), pearson, rtol=1e-4)
    np.testing.assert_allclose(
        metrics.PearsonCorrelation()(y_true, y_pred), np.mean(pearson), rtol=1e-4
    )
    lin = [
        2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
        for t, p in zip(y_true, y_pred, strict=True)
    ]
    np.testing.assert_allclose(metrics.concordance_correlation(y_true, y_pred), lin, rtol=1e-4)


# Scores ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_scores_equal_scikit_learn(average, beta):
    y_true, y_pred = rng.integers(0, 2, (40, 3)), rng.random((40, 3))
    expected = sklearn.metrics.fbeta_score(y_true, y_pred > 0.4, beta=beta, average=average)
    metric = metrics.FBetaScore(average, beta, 0.4)
    for part in (slice(0, 11), slice(11, 40)):
        metric.update_state(y_true[part], y_pred[part])
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)
    if beta == 1.0:
        np.testing.assert_allclose(
            metrics.F1Score(average, 0.4)(y_true, y_pred), expected, rtol=1e-5
        )


def test_iou_equals_jaccard():
    y_true, y_pred = rng.integers(0, 3, (4, 5)), rng.integers(0, 3, (4, 5))
    per_class = sklearn.metrics.jaccard_score(y_true.ravel(), y_pred.ravel(), average=None)
    for ids in ([0], [1, 2], [0, 1, 2]):
        found = metrics.IoU(num_classes=3, target_class_ids=ids)(y_true, y_pred)
        np.testing.assert_allclose(found, per_class[ids].mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics.MeanIoU(3)(y_true, y_pred), per_class.mean(), rtol=1e-5)
    one_hot = metrics.OneHotMeanIoU(3)(np.eye(3)[y_true], np.eye(3)[y_pred] * 0.9)
    np.testing.assert_allclose(one_hot, per_class.mean(), rtol=1e-5)


def test_iou_weights_and_ignored_class():
    metric = metrics.MeanIoU(2, ignore_class=255)
    metric.update_state([0, 1, 255, 1], [0, 1, 1, 0], sample_weight=[1, 2, 9, 3])
    assert metric.total_cm.tolist() == [[1, 0], [3, 2]]
    with pytest.warns(UserWarning, match="fractions"):
        metric.update_state([0], [0], sample_weight=torch.tensor([0.5]))
    assert metric.total_cm.tolist() == [[1, 0], [3, 2]]


# The base class ----------------------------------------------------------------------------------


def test_variables_of_nested_metrics_are_found():
    class Both(metrics.Metric):
        def __init__(self):
            super().__init__(name="both")
            self.seen = self.add_weight(name="seen", dtype="int32")
            self.first = metrics.Mean(name="first")
            self.more = {"second": [metrics.Sum(name="second")]}

        def update_state(self, values):
            self.seen.assign_add(len(values))
            self.first.update_state(values)
            self.more["second"][0].update_state(values=values)

        def result(self):
            return {"mean": self.first.result(), "sum": self.more["second"][0].result()}

    metric = Both()
    result = metric(torch.tensor([1.0, 3.0]))
    assert {key: float(value) for key, value in result.items()} == {"mean": 2.0, "sum": 4.0}
    paths = ["both/seen", "first/total", "first/count", "second/total"]
    assert [v.path for v in metric.variables] == paths
    assert [float(v) for v in metric.variables] == [2, 4, 2, 4]
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0, 0, 0, 0]
    assert metric.variables[0].dtype == torch.int32


def test_forgotten_super_call():
    class Wrong(metrics.Metric):
        def __init__(self):
            self.total = self.add_variable((), "zeros")

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Wrong()


def test_methods_a_subclass_must_write():
    with pytest.raises(NotImplementedError):
        metrics.Metric().update_state(1)
    with pytest.raises(NotImplementedError):
        metrics.Metric().result()


@pytest.mark.parametrize("name", ["Mean", "BinaryAccuracy", "AUC"])
def test_stateless_use_changes_nothing(name):
    metric = make(name)
    metric.update_state(*batch(name))
    before = [v.clone() for v in metric.variables]
    state = [torch.zeros_like(v) for v in before]
    state = metric.stateless_update_state(state, *batch(name))
    for a, b in zip(state, before, strict=True):
        torch.testing.assert_close(a, b.detach())
    assert all((v == 0).all() for v in metric.stateless_reset_state())
    torch.testing.assert_close(metric.stateless_result(state), metric.result())
    for a, b in zip(before, metric.variables, strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="one tensor per variable"):
        metric.stateless_result(state[:1])


# Identifiers -------------------------------------------------------------------------------------


def test_get():
    assert metrics.get(None) is None
    assert isinstance(metrics.get("mse"), metrics.MeanSquaredError)
    assert isinstance(metrics.get("AUC"), metrics.AUC)
    assert isinstance(metrics.get("auc"), metrics.AUC)
    assert isinstance(metrics.get(metrics.Recall), metrics.Recall)
    assert metrics.get(metrics.binary_accuracy) is metrics.binary_accuracy
    with pytest.raises(ValueError, match="Did you mean '[Pp]recision'"):
        metrics.get("precison")


@pytest.mark.parametrize(
    "y_true, y_pred, accuracy, crossentropy",
    [
        ((None,), (None, 1), "BinaryAccuracy", "BinaryCrossentropy"),
        ((None,), (None, 9), "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
        ((None, 9), (None, 9), "CategoricalAccuracy", "CategoricalCrossentropy"),
    ],
)
def test_names_chosen_by_shape(y_true, y_pred, accuracy, crossentropy):
    for name, expected in (
        *(("accuracy", accuracy), ("acc", accuracy), ("Accuracy", accuracy)),
        *(("crossentropy", crossentropy), ("ce", crossentropy)),
    ):
        metric = metrics.resolve(name, y_true, y_pred)
        assert (type(metric).__name__, metric.name) == (expected, name)


def test_resolve_names_metrics_as_logs_do():
    assert metrics.resolve("mse", (2,), (2,)).name == "mse"
    assert metrics.resolve(metrics.AUC(name="area"), (2,), (2,)).name == "area"
    assert metrics.resolve(metrics.binary_accuracy, (2,), (2,)).name == "binary_accuracy"
    with pytest.raises(ValueError, match="None"):
        metrics.resolve(None, (2,), (2,))
