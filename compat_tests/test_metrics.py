"""Metrics against Keras: values over batches, weights and masks; state; configs; names; errors.

State is compared too: users and files read it. Both sides add up to 72 float32 values of at most 3
in another order, and Keras subtracts sums from sums: the error is at most 72 * 3 * 2**-24.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch
from keras.src.trainers.compile_utils import get_metric

from torchkeras import metrics

CLOSE = {"rtol": 2e-5, "atol": 1.3e-5}
rng = np.random.default_rng(0)


def _one_hot(*shape):
    return np.eye(shape[-1], dtype="float32")[rng.integers(0, shape[-1], shape[:-1])]


def _floats(*shape):
    return rng.random(shape).astype("float32")


def _batches(make_true, make_pred, *shapes):
    """Three batches for each pair of shapes."""
    return [[(make_true(*true), make_pred(*pred)) for _ in range(3)] for true, pred in shapes]


def _labels(classes):
    return lambda *shape: rng.integers(0, classes, shape)


SAME = [((8,), (8,)), ((8, 1), (8, 1)), ((8, 3), (8, 3)), ((4, 2, 3), (4, 2, 3))]
COLUMN = [((8,), (8, 1)), ((8, 1), (8,))]
REAL = _batches(_floats, _floats, *SAME, *COLUMN)
BINARY = _batches(_labels(2), _floats, *SAME, *COLUMN)
BINARY_SAME = _batches(_labels(2), _floats, *SAME)
ONE_HOT = _batches(_one_hot, _floats, ((8, 6), (8, 6)), ((4, 2, 6), (4, 2, 6)))
CLASSES = _batches(
    _labels(6), _floats, ((8,), (8, 6)), ((8, 1), (8, 6)), ((4, 2), (4, 2, 6)), ((4, 1), (4, 1, 6))
)
VECTORS = _batches(_floats, _floats, ((8, 3), (8, 3)))
SEGMENTS = _batches(_labels(3), _labels(4), ((8,), (8,)), ((2, 3, 3), (2, 3, 3)))

CASES = {
    "Accuracy": ([{}], _batches(_labels(3), _labels(3), *SAME, *COLUMN)),
    "BinaryAccuracy": ([{}, {"threshold": 0.3}], BINARY),
    "CategoricalAccuracy": ([{}], ONE_HOT),
    "SparseCategoricalAccuracy": ([{}], CLASSES),
    "TopKCategoricalAccuracy": ([{}, {"k": 2}], ONE_HOT),
    "SparseTopKCategoricalAccuracy": ([{"k": 3}, {"k": 1}], [CLASSES[0], CLASSES[2]]),
    "MeanSquaredError": ([{}], REAL),
    "MeanAbsoluteError": ([{}], REAL),
    "MeanAbsolutePercentageError": ([{}], REAL),
    "MeanSquaredLogarithmicError": ([{}], REAL),
    "RootMeanSquaredError": ([{}], REAL),
    "LogCoshError": ([{}], REAL),
    "CosineSimilarity": ([{}, {"axis": 1}], VECTORS),
    "BinaryCrossentropy": ([{}, {"label_smoothing": 0.1}, {"from_logits": True}], BINARY_SAME),
    "CategoricalCrossentropy": ([{}, {"label_smoothing": 0.1}, {"from_logits": True}], ONE_HOT),
    "SparseCategoricalCrossentropy": (
        [{}, {"from_logits": True}, {"ignore_class": 2}],
        CLASSES,
    ),
    "KLDivergence": ([{}], ONE_HOT),
    "Poisson": ([{}], VECTORS),
    "Hinge": ([{}], BINARY_SAME),
    "SquaredHinge": ([{}], BINARY_SAME),
    "CategoricalHinge": ([{}], ONE_HOT),
    "PearsonCorrelation": ([{}, {"axis": 0}], VECTORS),
    "ConcordanceCorrelation": ([{}, {"axis": 0}], VECTORS),
    "Precision": (
        [{}, {"thresholds": 0.3}, {"thresholds": [0.2, 0.7]}, {"thresholds": [0.0, 0.5, 1.0]}],
        BINARY,
    ),
    "Recall": (
        [{}, {"thresholds": 0.3}, {"thresholds": [0.7, 0.2]}, {"thresholds": [0.0, 0.5, 1.0]}],
        BINARY,
    ),
    "TruePositives": ([{}, {"thresholds": [0.0, 0.5, 1.0]}], BINARY),
    "FalsePositives": ([{}, {"thresholds": [0.1, 0.5, 0.9]}], BINARY),
    "TrueNegatives": ([{}, {"thresholds": [0.0, 0.5, 1.0]}], BINARY),
    "FalseNegatives": ([{}, {"thresholds": [0.1, 0.5, 0.9]}], BINARY),
    "SensitivityAtSpecificity": (
        [{"specificity": 0.4}, {"specificity": 0.7, "num_thresholds": 1}],
        BINARY,
    ),
    "SpecificityAtSensitivity": ([{"sensitivity": 0.4}, {"sensitivity": 0.9}], BINARY),
    "PrecisionAtRecall": ([{"recall": 0.4}, {"recall": 0.8, "num_thresholds": 20}], BINARY),
    "RecallAtPrecision": ([{"precision": 0.4}, {"precision": 0.6}], BINARY),
    "F1Score": (
        [{"average": average} for average in (None, "micro", "macro", "weighted")]
        + [{"threshold": 0.4}],
        [ONE_HOT[0]],
    ),
    "FBetaScore": ([{"beta": 2.0, "threshold": 0.5, "average": "weighted"}], [ONE_HOT[0]]),
    "R2Score": (
        [{}, {"class_aggregation": None}, {"class_aggregation": "variance_weighted_average"}]
        + [{"num_regressors": 2}],
        VECTORS,
    ),
    "IoU": (
        [
            {"num_classes": 3, "target_class_ids": [0, 2]},
            {"num_classes": 4, "target_class_ids": [1]},
        ]
        + [{"num_classes": 3, "target_class_ids": (0,), "ignore_class": 1, "dtype": "float32"}],
        SEGMENTS,
    ),
    "MeanIoU": ([{"num_classes": 3}, {"num_classes": 4, "ignore_class": 0}], SEGMENTS),
    "BinaryIoU": ([{}, {"threshold": 0.3, "target_class_ids": [1]}], BINARY[2:4]),
    "OneHotIoU": ([{"num_classes": 6, "target_class_ids": [1, 2]}], ONE_HOT),
    "OneHotMeanIoU": ([{"num_classes": 6}], ONE_HOT),
}
ALL = [(name, kwargs, data) for name, (options, data) in CASES.items() for kwargs in options]
IDS = [f"{name}-{kwargs}" for name, kwargs, _ in ALL]
# Reducing over the samples leaves one value per column, which weights per sample do not fit.
UNWEIGHTABLE = [("PearsonCorrelation", {"axis": 0}), ("ConcordanceCorrelation", {"axis": 0})]
PER_PREDICTION_WEIGHTS = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU")


def both(class_name, **kwargs):
    return getattr(metrics, class_name)(**kwargs), getattr(keras.metrics, class_name)(**kwargs)


def tensors(batch, mask=None):
    y_true, y_pred = map(torch.as_tensor, batch)
    if mask is not None:
        y_pred._keras_mask = torch.as_tensor(mask)
    return y_true, y_pred


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours.result(), theirs.result(), err_msg="result", **CLOSE)
    assert ours.result().dtype == theirs.result().dtype
    assert len(ours.variables) == len(theirs.variables)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        assert (a.name, a.path.partition("/")[2]) == (b.name, b.path.partition("/")[2])
        np.testing.assert_allclose(
            a.numpy(), keras.ops.convert_to_numpy(b), err_msg=b.path, **CLOSE
        )


def compare(ours, theirs, batches, weight=None, mask=None):
    for batch in batches:
        weights = None if weight is None else weight(batch)
        masks = None if mask is None else mask(batch)
        for metric in (ours, theirs):
            metric.update_state(*tensors(batch, masks), sample_weight=weights)
        assert_same(ours, theirs)
    ours.reset_state()
    theirs.reset_state()
    if ours.name != "r2_score":  # 0/0
        assert_same(ours, theirs)


@pytest.mark.parametrize("name, kwargs, data", ALL, ids=IDS)
def test_values_and_state(name, kwargs, data):
    for batches in data:
        compare(*both(name, **kwargs), batches)


@pytest.mark.parametrize("name, kwargs, data", ALL, ids=IDS)
@pytest.mark.filterwarnings("ignore:.*float")
def test_sample_weights(name, kwargs, data):
    compared = 0
    for batches in data:

        def weight(batch):
            shape = batch[1].shape[:1]
            if name in PER_PREDICTION_WEIGHTS:
                shape = batch[1].shape if "OneHot" not in name else batch[1].shape[:-1]
            return rng.random(shape).astype("float32") * 3

        ours, theirs = both(name, **kwargs)
        arguments = (*tensors(batches[0]), weight(batches[0]))
        try:
            theirs.update_state(*arguments)
        except Exception:  # weights per sample do not fit the values of every shape
            with pytest.raises(ValueError, match="does not fit the (values|mask) it weights"):
                ours.update_state(*arguments)
            continue
        compared += 1
        compare(*both(name, **kwargs), batches, weight)
    assert compared or (name, kwargs) in UNWEIGHTABLE


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:.*float")
def test_masks(name, weighted):
    options, data = CASES[name]
    whole = [batches for batches in data if batches[0][1].ndim > 1]  # else there is one value
    for batches in whole[:2]:
        shape = batches[0][1].shape[: -1 if "OneHot" in name else None]
        lead = shape if name in PER_PREDICTION_WEIGHTS else shape[:1]
        weight = (lambda batch, lead=lead: _floats(*lead)) if weighted else None
        mask = lambda batch, lead=lead: rng.random(lead) > 0.3  # noqa: E731
        compare(*both(name, **options[0]), batches[:2], weight, mask)


def test_the_cases_are_complete():
    """Every metric of Keras's has its line in the table, or tests of its own."""
    classes = [getattr(keras.metrics, name) for name in dir(keras.metrics)]
    names = {c.__name__ for c in classes if isinstance(c, type) and issubclass(c, keras.Metric)}
    elsewhere = {"Metric", "Mean", "Sum", "MeanMetricWrapper", "AUC"}
    assert names - elsewhere == set(CASES)


@pytest.mark.parametrize("values", [(), (5,), (5, 1), (5, 3), (2, 3, 4)])
@pytest.mark.parametrize("weights", [None, (), (5,), (5, 1), (2,), (2, 3), (2, 1), 2, 0.5])
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_mean_and_sum(name, values, weights):
    ours, theirs = both(name)
    for kind in (torch.as_tensor, np.asarray):
        x = kind(_floats(*values))
        w = _floats(*weights) if isinstance(weights, tuple) else weights
        try:
            theirs.update_state(x, sample_weight=w)
        except Exception:
            with pytest.raises((ValueError, RuntimeError, IndexError)):
                ours.update_state(x, sample_weight=w)
            return
        ours.update_state(x, sample_weight=w)
        assert_same(ours, theirs)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float16", "bfloat16", "float64"])
def test_mean_of_other_dtypes(dtype):
    values = torch.as_tensor(rng.integers(0, 2, (5, 3))).to(getattr(torch, dtype))
    for metric_dtype in ("float32", "float64", "float16"):
        ours, theirs = both("Mean", dtype=metric_dtype)
        ours.update_state(values)
        theirs.update_state(values)
        assert ours.variables[0].dtype == getattr(torch, metric_dtype)
        # float16 states: 5 additions of values below 1
        np.testing.assert_allclose(ours.result().float(), theirs.result().float(), rtol=2e-3)


def test_wrapped_functions():
    def distance(y_true, y_pred, scale=1.0):
        return scale * abs(y_true - y_pred)

    ours = metrics.MeanMetricWrapper(distance, name="d", scale=2.0)
    theirs = keras.metrics.MeanMetricWrapper(distance, name="d", scale=2.0)
    for batches in REAL[:4]:
        compare(ours, theirs, batches)
        compare(ours, theirs, batches, lambda batch: _floats(len(batch[0])))


@pytest.mark.parametrize(
    "top_k, class_id, thresholds",
    [(1, None, None), (3, None, None)]
    + [(None, 2, None), (2, 1, None), (2, None, [0.4, 0.6]), (None, 0, [0.0, 0.5, 1.0])],
)
@pytest.mark.parametrize("name", ["Precision", "Recall"])
@pytest.mark.parametrize("weighted", [False, True])
def test_precision_and_recall_options(name, top_k, class_id, thresholds, weighted):
    kwargs = {"top_k": top_k, "class_id": class_id, "thresholds": thresholds}
    weight = (lambda batch: _floats(len(batch[0]))) if weighted else None
    compare(*both(name, **kwargs), ONE_HOT[0], weight)


# AUC ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN", "roc"])
@pytest.mark.parametrize("method", ["interpolation", "minoring", "majoring", "Majoring"])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_thresholds": 3}, {"thresholds": [0.9, 0.1, 0.4]}, {"thresholds": [0.25, 0.5, 0.75]}],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_auc(curve, method, options, weighted):
    kwargs = {"curve": curve, "summation_method": method, **options}
    weight = (lambda batch: _floats(len(batch[0]))) if weighted else None
    for batches in (BINARY[0], BINARY[1], BINARY[2]):
        compare(*both("AUC", **kwargs), batches, weight)


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN"])
@pytest.mark.parametrize("options", [{}, {"num_labels": 3}, {"thresholds": [0.9, 0.1, 0.4]}])
@pytest.mark.parametrize("label_weights", [None, [0.2, 0.5, 3.0]])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_of_many_labels(curve, options, label_weights, weighted):
    kwargs = {"curve": curve, "multi_label": True, "label_weights": label_weights, **options}
    weight = (lambda batch: _floats(len(batch[0]))) if weighted else None
    compare(*both("AUC", **kwargs), BINARY[2], weight)


@pytest.mark.parametrize("options", [{}, {"thresholds": [0.9, 0.1, 0.4]}])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_label_weights_of_flat_predictions(options, weighted):
    kwargs = {"label_weights": [0.2, 0.5, 3.0], **options}
    weight = (lambda batch: _floats(len(batch[0]))) if weighted else None
    compare(*both("AUC", **kwargs), BINARY[2], weight)


@pytest.mark.parametrize("multi_label", [False, True])
def test_auc_from_logits(multi_label):
    batches = [(t, 8 * p - 4) for t, p in BINARY[2]]
    compare(*both("AUC", from_logits=True, multi_label=multi_label), batches)


@pytest.mark.parametrize("num_thresholds", [2, 5, 11, 101, 200])
def test_auc_of_predictions_on_the_thresholds(num_thresholds):
    grid = np.linspace(0, 1, num_thresholds).astype("float32")
    predictions = np.concatenate([grid, [-0.5, 1.5, 0.0, 1.0]]).astype("float32")
    labels = rng.integers(0, 2, predictions.shape)
    compare(*both("AUC", num_thresholds=num_thresholds), [(labels, predictions)])


# Function forms ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, cases, kwargs",
    [
        ("binary_accuracy", "BinaryAccuracy", {}),
        ("binary_accuracy", "BinaryAccuracy", {"threshold": 0.25}),
        ("categorical_accuracy", "CategoricalAccuracy", {}),
        ("sparse_categorical_accuracy", "SparseCategoricalAccuracy", {}),
        ("top_k_categorical_accuracy", "TopKCategoricalAccuracy", {"k": 2}),
        ("sparse_top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy", {"k": 2}),
        ("pearson_correlation", "PearsonCorrelation", {}),
        ("concordance_correlation", "ConcordanceCorrelation", {}),
        ("huber", "MeanSquaredError", {"delta": 0.2}),
        ("log_cosh", "MeanSquaredError", {}),
    ],
)
def test_functions(name, cases, kwargs):
    for batches in CASES[cases][1]:
        y_true, y_pred = tensors(batches[0])
        ours = getattr(metrics, name)(y_true, y_pred, **kwargs)
        theirs = getattr(keras.metrics, name)(y_true, y_pred, **kwargs)
        np.testing.assert_allclose(ours, theirs, **CLOSE)
        assert ours.dtype == theirs.dtype


def test_top_k_from_sorted_ids():
    y_true = rng.integers(0, 6, (8,))
    y_pred = np.argsort(-_floats(8, 6), axis=-1)
    ours, theirs = both("SparseTopKCategoricalAccuracy", k=3, from_sorted_ids=True)
    compare(ours, theirs, [(y_true, y_pred)])
    assert ours.get_config() == theirs.get_config()


# Names, configs, errors --------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", sorted(keras.src.metrics.ALL_OBJECTS_DICT))
def test_identifiers(identifier):
    theirs = keras.src.metrics.ALL_OBJECTS_DICT[identifier]
    assert metrics._METRICS.objects[identifier].__name__ == theirs.__name__
    try:
        theirs = keras.metrics.get(identifier)
    except TypeError:
        return  # needs arguments
    ours = metrics.get(identifier)
    assert type(ours).__name__ == type(theirs).__name__
    assert getattr(ours, "_direction", None) == getattr(theirs, "_direction", None)


@pytest.mark.parametrize("name, kwargs, data", ALL, ids=IDS)
def test_configs(name, kwargs, data):
    ours, theirs = both(name, **{"name": "mine", **kwargs})
    expected = keras.metrics.serialize(theirs)
    got = metrics.serialize(ours)
    if name == "CosineSimilarity" and "axis" in kwargs:
        assert got["config"].pop("axis") == kwargs["axis"]  # Keras forgets it
    assert got == expected
    assert metrics.deserialize(expected).get_config().items() >= theirs.get_config().items()
    assert keras.metrics.deserialize(metrics.serialize(ours)).get_config() == theirs.get_config()


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"curve": "PR", "summation_method": "majoring", "num_thresholds": 7},
        {"multi_label": True, "num_labels": 2, "from_logits": True},
        {"thresholds": [0.5, 0.25]},
    ],
)
def test_auc_config(kwargs):
    ours, theirs = both("AUC", name="auc", **kwargs)
    assert metrics.serialize(ours) == keras.metrics.serialize(theirs)
    assert metrics.deserialize(keras.metrics.serialize(theirs)).thresholds == ours.thresholds
    np.testing.assert_array_equal(ours.thresholds, theirs.thresholds)


def test_function_and_wrapper_configs():
    assert metrics.serialize(metrics.binary_accuracy) == keras.metrics.serialize(
        keras.metrics.binary_accuracy
    )
    ours = metrics.MeanMetricWrapper(metrics.mean_squared_error, name="w")
    theirs = keras.metrics.MeanMetricWrapper(keras.metrics.mean_squared_error, name="w")
    config = keras.metrics.serialize(theirs)
    assert metrics.serialize(ours) == config
    assert metrics.deserialize(config)._fn is metrics.mean_squared_error


@pytest.mark.parametrize("identifier", ["accuracy", "acc", "Accuracy"])
@pytest.mark.parametrize("y_true", [(8,), (8, 1), (8, 3), (8, 4, 1), (8, 4), (8, 4, 3)])
@pytest.mark.parametrize("y_pred", [(8, 1), (8, 3), (8, 4, 3), (8, 4, 1)])
def test_accuracy_by_shape(identifier, y_true, y_pred):
    theirs = get_metric(identifier, np.zeros(y_true), np.zeros(y_pred))
    ours = metrics.resolve(identifier, y_true, y_pred)
    assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)


@pytest.mark.parametrize("kind", ["mse", "AUC", "binary_accuracy", "function", "class", "loss"])
def test_names_of_resolved_metrics(kind):
    def my_metric(y_true, y_pred):
        return y_pred

    def make(library):
        options = {
            "function": my_metric,
            "class": library.metrics.Precision(name="p"),
            "loss": library.losses.MeanSquaredError(),
        }
        return options.get(kind, kind)

    import torchkeras

    theirs = get_metric(make(keras), np.zeros((2, 1)), np.zeros((2, 1)))
    ours = metrics.resolve(make(torchkeras), (2, 1), (2, 1))
    assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.metrics.get("acuracy"),
        lambda k: k.metrics.Precision(thresholds=[0.5, 1.5]),
        lambda k: k.metrics.Precision(thresholds=[None]),
        lambda k: k.metrics.Precision(class_id=1)(torch.ones(3), torch.rand(3)),
        lambda k: k.metrics.AUC(num_thresholds=1),
        lambda k: k.metrics.AUC(curve="RC"),
        lambda k: k.metrics.AUC(summation_method="max"),
        lambda k: k.metrics.AUC(num_labels=2),
        lambda k: k.metrics.AUC(multi_label=True)(torch.ones(3), torch.rand(3)),
        lambda k: k.metrics.SensitivityAtSpecificity(1.5),
        lambda k: k.metrics.RecallAtPrecision(0.5, num_thresholds=0),
        lambda k: k.metrics.FBetaScore(average="mean"),
        lambda k: k.metrics.FBetaScore(beta=1),
        lambda k: k.metrics.FBetaScore(beta=-1.0),
        lambda k: k.metrics.F1Score(threshold=1),
        lambda k: k.metrics.F1Score(threshold=1.5),
        lambda k: k.metrics.F1Score()(torch.ones(3), torch.rand(3)),
        lambda k: k.metrics.R2Score(class_aggregation="mean"),
        lambda k: k.metrics.R2Score(num_regressors=-1),
        lambda k: k.metrics.R2Score()(torch.ones(3), torch.rand(3)),
        lambda k: k.metrics.IoU(num_classes=2, target_class_ids=[2]),
        lambda k: k.metrics.Mean().stateless_update_state([0.0], 1.0),
        lambda k: k.metrics.Metric().result(),
        lambda k: k.metrics.Metric().update_state(torch.ones(1)),
    ],
)
def test_error_types(action):
    import torchkeras

    with pytest.raises(Exception) as theirs:
        action(keras)
    with pytest.raises(theirs.type):
        action(torchkeras)


def test_stateless_use():
    values = torch.tensor([1.0, 2.0, 6.0])
    results = []
    for library in (metrics, keras.metrics):
        metric = library.Mean()
        state = [torch.tensor(1.0), torch.tensor(2.0)]
        state = metric.stateless_update_state(state, values)
        results.append(
            [float(x) for x in (*state, metric.stateless_result(state), metric.result())]
        )
        results[-1].extend(float(x) for x in metric.stateless_reset_state())
    assert results[0] == results[1]


def test_custom_metrics():
    def make(library):
        class Nested(library.metrics.Metric):
            def __init__(self, name="nested", **kwargs):
                super().__init__(name=name, **kwargs)
                self.seen = self.add_weight(name="seen", initializer="zeros")
                self.means = [library.metrics.Mean(name="a"), library.metrics.Mean(name="b")]

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.seen.assign_add(float(y_pred.shape[0]))
                self.means[0].update_state(y_true)
                self.means[1].update_state(y_pred, sample_weight)

            def result(self):
                return {
                    "seen": self.seen + 0,
                    "gap": self.means[0].result() - self.means[1].result(),
                }

        return Nested()

    ours, theirs = make(metrics_library()), make(keras)
    for batch in BINARY[0]:
        for metric in (ours, theirs):
            metric.update_state(*tensors(batch), sample_weight=np.ones(8))
        assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]
        assert [float(v) for v in ours.variables] == [float(v.value) for v in theirs.variables]
        a, b = ours.result(), theirs.result()
        assert {k: float(v) for k, v in a.items()} == {k: float(v) for k, v in b.items()}
    ours.reset_state()
    assert [float(v) for v in ours.variables] == [0.0] * 5


def metrics_library():
    import torchkeras

    return torchkeras
