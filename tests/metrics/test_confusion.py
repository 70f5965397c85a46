"""Counts, precision, recall and areas under curves against scikit-learn and by hand.

The areas are Riemann sums at some thresholds; scikit-learn's are exact. With scores on a grid as
fine as the thresholds both see the same curve.
"""

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchkeras import metrics
from torchkeras.metrics import confusion

rng = np.random.default_rng(0)
LABELS = rng.integers(0, 2, 300)
# Between the thresholds of a metric with 101: centres of the steps.
SCORES = (np.clip(rng.normal(0.4 + 0.2 * LABELS, 0.2), 0.01, 0.99) * 100 // 1 + 0.5) / 100
WEIGHTS = rng.random(300)
PARTS = [slice(0, 17), slice(17, 130), slice(130, 300)]


def fed(metric, labels=LABELS, scores=SCORES, weights=None):
    for part in PARTS:
        metric.update_state(labels[part], scores[part], None if weights is None else weights[part])
    return metric


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", [(300,), (300, 1)])
def test_roc_auc_equals_scikit_learn(weights, shape):
    expected = sklearn.metrics.roc_auc_score(LABELS, SCORES, sample_weight=weights)
    for options in ({"num_thresholds": 101}, {"thresholds": list(np.linspace(0, 1, 101)[1:-1])}):
        metric = fed(metrics.AUC(**options), LABELS.reshape(shape), SCORES.reshape(shape), weights)
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_areas_enclose_each_other(weights):
    for curve in ("ROC", "PR"):
        low, middle, high = (
            float(fed(metrics.AUC(curve=curve, summation_method=m), weights=weights).result())
            for m in ("minoring", "interpolation", "majoring")
        )
        assert low < middle < high
    average = sklearn.metrics.average_precision_score(LABELS, SCORES, sample_weight=weights)
    precise = float(fed(metrics.AUC(101, curve="PR"), weights=weights).result())
    # By its own name, whatever the curve; and options are equal to the strings they stand for.
    named = fed(metrics.AUC(101, summation_method="majoring"), weights=weights)
    assert float(named.interpolate_pr_auc()) == precise
    assert (named.curve, named.summation_method) == ("ROC", "majoring")
    assert abs(precise - average) < 0.02  # average precision is a step sum


def test_perfect_and_random_predictors():
    perfect = metrics.AUC()(LABELS, LABELS.astype(float))
    np.testing.assert_allclose(perfect, 1.0, rtol=1e-6)
    np.testing.assert_allclose(metrics.AUC()(LABELS, np.full(300, 0.5)), 0.5, rtol=1e-6)
    np.testing.assert_allclose(metrics.AUC()(LABELS, 1.0 - LABELS), 0.0, atol=1e-6)
    np.testing.assert_allclose(metrics.AUC(curve="PRGAIN")(LABELS, LABELS * 1.0), 1.0, rtol=1e-5)
    assert metrics.AUC().result() == 0


def test_multi_label_auc():
    labels, scores = rng.integers(0, 2, (300, 3)), (rng.integers(0, 100, (300, 3)) + 0.5) / 100
    areas = [sklearn.metrics.roc_auc_score(labels[:, i], scores[:, i]) for i in range(3)]
    metric = fed(metrics.AUC(101, multi_label=True), labels, scores)
    np.testing.assert_allclose(metric.result(), np.mean(areas), rtol=1e-5)
    weights = [0.1, 2.0, 1.0]
    metric = fed(metrics.AUC(101, multi_label=True, label_weights=weights), labels, scores)
    np.testing.assert_allclose(metric.result(), np.average(areas, weights=weights), rtol=1e-5)
    assert metric.true_positives.shape == (101, 3)


def test_auc_from_logits():
    logits = np.log(SCORES / (1 - SCORES))
    direct = fed(metrics.AUC())
    torch.testing.assert_close(
        fed(metrics.AUC(from_logits=True), scores=logits).result(),
        direct.result(),
        rtol=1e-2,  # a logit and its sigmoid may fall on different sides of a threshold
        atol=0,
    )


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_histogram_equals_comparison_with_each_threshold(data):
    """Evenly spaced thresholds go through the histogram, the same ones unsorted do not."""
    size = data.draw(st.integers(1, 20))
    scores = data.draw(
        st.lists(st.floats(-0.25, 1.25, width=32), min_size=size, max_size=size).map(np.float32)
    )
    labels = data.draw(st.lists(st.booleans(), min_size=size, max_size=size).map(np.array))
    weights = data.draw(st.none() | st.just(np.arange(1, size + 1)))
    thresholds = [0.0, 0.25, 0.5, 0.75, 1.0]  # exact in float32, as are the products
    for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"):
        even = getattr(metrics, name)(thresholds=thresholds)
        plain = getattr(metrics, name)(thresholds=thresholds[::-1])
        assert even._even and not plain._even
        # The histogram clips scores, as Keras does: at threshold 1, above 1 is not positive.
        scores = np.minimum(scores, 1.0)
        even.update_state(labels, scores, weights)
        plain.update_state(labels, np.maximum(scores, 0.0), weights)
        assert even.result().tolist() == plain.result().flip(0).tolist()


def test_histogram_is_settled_in_time(monkeypatch):
    monkeypatch.setattr(confusion, "SETTLE_AFTER", 100)
    metric, expected = fed(metrics.AUC()), metrics.AUC()
    assert metric._unsettled < 270
    expected.update_state(LABELS, SCORES)
    for a, b in zip(metric.variables, expected.variables, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_precision_and_recall_equal_scikit_learn(weights):
    for threshold in (0.5, 0.3):
        predicted = SCORES > threshold
        for name, expected in (
            ("Precision", sklearn.metrics.precision_score),
            ("Recall", sklearn.metrics.recall_score),
        ):
            metric = fed(getattr(metrics, name)(thresholds=threshold), weights=weights)
            wanted = expected(LABELS, predicted, sample_weight=weights)
            np.testing.assert_allclose(metric.result(), wanted, rtol=1e-5)


def test_several_thresholds_give_one_value_each():
    thresholds = [0.7, 0.2, 0.5]
    many = fed(metrics.Recall(thresholds=thresholds)).result()
    each = [fed(metrics.Recall(thresholds=t)).result() for t in thresholds]
    assert many.tolist() == torch.stack(each).tolist()


def test_counts():
    tn, fp, fn, tp = sklearn.metrics.confusion_matrix(LABELS, SCORES > 0.5).ravel()
    found = [
        float(fed(getattr(metrics, name)()).result())
        for name in ("TrueNegatives", "FalsePositives", "FalseNegatives", "TruePositives")
    ]
    assert found == [tn, fp, fn, tp]
    assert metrics.TruePositives().variables[0].name == "accumulator"


def test_top_k_and_class_id():
    y_true = [[0, 0, 1], [1, 0, 0]]
    y_pred = [[0.1, 0.5, 0.4], [0.7, 0.2, 0.1]]
    assert metrics.Precision(top_k=1)(y_true, y_pred) == 0.5
    assert metrics.Recall(top_k=2)(y_true, y_pred) == 1.0
    assert metrics.Precision(top_k=2)(y_true, y_pred) == 0.5
    assert metrics.Recall(class_id=2)(y_true, y_pred) == 0.0
    assert metrics.Recall(class_id=2, thresholds=0.3)(y_true, y_pred) == 1.0
    with pytest.raises(ValueError, match="2D array with shape"):
        metrics.Recall(class_id=2)(torch.ones(3), torch.ones(3))


def test_rates_under_constraints():
    fpr, tpr, _ = sklearn.metrics.roc_curve(LABELS, SCORES, drop_intermediate=False)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(LABELS, SCORES)
    for value in (0.3, 0.6, 0.8):
        for metric, expected in (
            (metrics.SensitivityAtSpecificity(value, 101), tpr[1 - fpr >= value].max()),
            (metrics.SpecificityAtSensitivity(value, 101), (1 - fpr)[tpr >= value].max()),
            (metrics.PrecisionAtRecall(value, 101), precision[:-1][recall[:-1] >= value].max()),
            (metrics.RecallAtPrecision(value, 101), recall[:-1][precision[:-1] >= value].max()),
        ):
            np.testing.assert_allclose(fed(metric).result(), expected, rtol=1e-5)


def test_nan_predictions_do_not_crash():
    scores = torch.tensor([0.2, float("nan"), float("inf"), -float("inf")])
    metric = metrics.AUC()
    metric.update_state(torch.tensor([0, 1, 1, 0]), scores)
    positives = metric.true_positives + metric.false_negatives
    assert (positives == 2).all()
    assert metric.true_positives[100] == 1  # the infinite one


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
        (lambda: metrics.AUC(curve="RC"), "curve"),
        (lambda: metrics.AUC(summation_method="middle"), "summation_method"),
        (lambda: metrics.AUC(num_labels=3), "multi_label"),
        (lambda: metrics.AUC(multi_label=True)(torch.ones(3), torch.ones(3)), "rank 2"),
        (lambda: metrics.Precision(thresholds=[0.5, -0.1]), r"\[0, 1\]"),
        (lambda: metrics.SensitivityAtSpecificity(2.0), "specificity"),
        (lambda: metrics.PrecisionAtRecall(0.5, 0), "num_thresholds"),
        (lambda: metrics.AUC()(torch.ones(3), torch.ones(3), torch.ones(2)), "sample_weight"),
    ],
)
def test_errors(make, said):
    with pytest.raises(ValueError, match=said):
        make()
