"""Losses against Keras: values over dtypes, weights, masks, reductions; gradients; configs; names.

Both sides run on torch in float32; fused kernels sum in another order, hence a few units in the
last place. Sums and logarithms of probabilities near 0 enlarge that to the tolerance used.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
import torch

from torchkeras import losses

CLOSE = {"rtol": 2e-5, "atol": 2e-6}
rng = np.random.default_rng(0)


def _probabilities(*shape):
    x = rng.random(shape).astype("float32") + 0.01
    return x / x.sum(-1, keepdims=True)


def _one_hot(*shape):
    return np.eye(shape[-1], dtype="float32")[rng.integers(0, shape[-1], shape[:-1])]


# Class name -> (constructor arguments to try, data). Data is a list of (y_true, y_pred).
REAL = [
    (rng.normal(size=(6, 3)), rng.normal(size=(6, 3))),
    (rng.normal(size=(6,)), rng.normal(size=(6, 1))),
    (rng.normal(size=(6, 1)), rng.normal(size=(6,))),
    (rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))),
    (rng.integers(0, 5, (6, 3)), rng.normal(size=(6, 3))),
    (rng.normal(size=(7,)), rng.normal(size=(7,))),
    (rng.normal(size=(6, 1)), rng.normal(size=(6, 3))),
]
BINARY = [
    (rng.integers(0, 2, (6, 3)), rng.random((6, 3))),
    (rng.integers(0, 2, (6, 1)), rng.random((6, 1))),
    (rng.integers(0, 2, (6,)), rng.random((6, 1))),
    (rng.random((2, 3, 4)), rng.random((2, 3, 4))),
    (np.array([[0, 1, 1, 0]]), np.array([[0.0, 1.0, 0.0, 1.0]])),
]
BINARY_LOGITS = [(t, 8 * p - 4) for t, p in BINARY]
ONE_HOT = [
    (_one_hot(6, 4), _probabilities(6, 4)),
    (_one_hot(2, 3, 4), _probabilities(2, 3, 4)),
    (_probabilities(6, 4), rng.random((6, 4))),
    (_one_hot(2, 2), np.array([[0.0, 1.0], [1.0, 0.0]])),
]
ONE_HOT_LOGITS = [(t, rng.normal(size=p.shape) * 3) for t, p in ONE_HOT]
SPARSE = [
    (rng.integers(0, 4, (6,)), _probabilities(6, 4)),
    (rng.integers(0, 4, (6, 1)), _probabilities(6, 4)),
    (rng.integers(0, 4, (2, 3)), _probabilities(2, 3, 4)),
    (rng.integers(0, 4, (2, 3, 1)), _probabilities(2, 3, 4)),
    (rng.integers(0, 4, (6,)).astype("float32"), rng.random((6, 4))),
    (rng.integers(0, 600, (6,)), _probabilities(6, 600)),
]
SPARSE_LOGITS = [(t, rng.normal(size=p.shape) * 3) for t, p in SPARSE]
POSITIVE = [(t + 0.1, p + 0.1) for t, p in BINARY]

CASES = {
    "MeanSquaredError": ([{}], REAL),
    "MeanAbsoluteError": ([{}], REAL),
    "MeanAbsolutePercentageError": ([{}], REAL),
    "MeanSquaredLogarithmicError": ([{}], POSITIVE),
    "Huber": ([{}, {"delta": 0.3}, {"delta": 2}], REAL),
    "LogCosh": ([{}], REAL),
    "CosineSimilarity": ([{}, {"axis": 0}], [case for case in REAL if case[0].ndim > 1]),
    "Hinge": ([{}], BINARY + [(2 * t - 1, p) for t, p in BINARY]),
    "SquaredHinge": ([{}], BINARY + [(2 * t - 1, p) for t, p in BINARY]),
    "CategoricalHinge": ([{}], ONE_HOT_LOGITS),
    "BinaryCrossentropy": ([{}, {"label_smoothing": 0.2}], BINARY),
    "BinaryFocalCrossentropy": (
        [{}, {"apply_class_balancing": True, "gamma": 1.5}, {"label_smoothing": 0.1}],
        BINARY,
    ),
    "CategoricalCrossentropy": ([{}, {"label_smoothing": 0.2}, {"axis": 1}], ONE_HOT),
    "CategoricalFocalCrossentropy": ([{}, {"alpha": 0.5, "gamma": 1.0}], ONE_HOT),
    "CategoricalGeneralizedCrossEntropy": ([{}, {"q": 0.9}], [SPARSE[0], SPARSE[2]]),
    "SparseCategoricalCrossentropy": ([{}, {"ignore_class": 2}], SPARSE),
    "KLDivergence": ([{}], ONE_HOT),
    "Poisson": ([{}], POSITIVE),
    "Dice": ([{}, {"axis": (1,)}], [case for case in BINARY if case[1].ndim > 1]),
    "Tversky": ([{"alpha": 0.3, "beta": 0.7}, {"axis": -1}], BINARY),
    "Circle": ([{}, {"gamma": 20.0, "margin": 0.2}], [(SPARSE[0][0] % 2, _probabilities(6, 4))]),
}
LOGITS = {
    "BinaryCrossentropy": BINARY_LOGITS,
    "BinaryFocalCrossentropy": BINARY_LOGITS,
    "CategoricalCrossentropy": ONE_HOT_LOGITS,
    "CategoricalFocalCrossentropy": ONE_HOT_LOGITS,
    "SparseCategoricalCrossentropy": SPARSE_LOGITS,
}
ALL = [(name, kwargs, data) for name, (all_kwargs, data) in CASES.items() for kwargs in all_kwargs]
ALL += [
    (name, {"from_logits": True, **kwargs}, data)
    for name, data in LOGITS.items()
    for kwargs in CASES[name][0]
]
IDS = [f"{name}-{kwargs}" for name, kwargs, _ in ALL]
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "none", None, "mean_with_sample_weight"]


def both(class_name, **kwargs):
    return getattr(losses, class_name)(**kwargs), getattr(keras.losses, class_name)(**kwargs)


def run(loss, y_true, y_pred, weights=None, mask=None, dtype=torch.float32):
    """Value and gradient."""
    y_pred = torch.tensor(y_pred, dtype=dtype, requires_grad=True)
    fed = y_pred * 1.0
    if mask is not None:
        fed._keras_mask = torch.tensor(mask)
    value = loss(torch.as_tensor(y_true), fed, weights)
    value.sum().backward()
    return value.detach(), y_pred.grad


def assert_same(ours, theirs, **bounds):
    for a, b, what in zip(ours, theirs, ("value", "gradient"), strict=True):
        assert a.dtype == b.dtype, what
        np.testing.assert_allclose(
            a.float(), b.float(), err_msg=what, **{**CLOSE, **bounds}
        )  # also checks the shapes


@pytest.mark.parametrize("name, kwargs, data", ALL, ids=IDS)
def test_values_and_gradients(name, kwargs, data):
    ours, theirs = both(name, **kwargs)
    for y_true, y_pred in data:
        if name == "CategoricalCrossentropy" and kwargs.get("axis", -1) >= y_pred.ndim:
            continue
        assert_same(run(ours, y_true, y_pred), run(theirs, y_true, y_pred))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [None, "sample", "column", "scalar", "zero"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryCrossentropy", "Huber"])
def test_reductions_weights_and_masks(name, reduction, weighted, masked):
    if masked and weighted == "scalar":
        pytest.skip("Keras multiplies the scalar by the mask in place, which fails")
    ours, theirs = both(name, reduction=reduction)
    weights = {
        "sample": rng.random(6).astype("float32"),
        "column": rng.random((6, 1)),
        "scalar": 0.5,
        "zero": np.zeros(6),
    }.get(weighted)
    mask = np.array([True, False, True, True, False, True]) if masked else None
    for y_true, y_pred in BINARY[:3]:
        arguments = (y_true, y_pred, weights, mask)
        assert_same(run(ours, *arguments), run(theirs, *arguments))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_each_loss_with_each_reduction_weights_and_masks(name, masked):
    options, data = CASES[name]
    y_true, y_pred = data[0]
    lead = np.asarray(y_pred).shape[:1]
    mask = np.arange(lead[0]) % 3 > 0 if masked else None
    for reduction in REDUCTIONS:
        ours, theirs = both(name, reduction=reduction, **options[-1])
        values = theirs.call(torch.as_tensor(y_true), torch.tensor(y_pred, dtype=torch.float32))
        for weights in (None, rng.random(lead).astype("float32"), np.zeros(lead)):
            if values.shape[:1] != lead and (masked or weights is not None):
                continue  # reduced over the samples
            arguments = (y_true, y_pred, weights, mask)
            assert_same(run(ours, *arguments), run(theirs, *arguments))


@pytest.mark.parametrize("name", CASES)
def test_thirty_steps_down_each_loss(name):
    """Predictions that follow the gradient take the same path."""
    options, data = CASES[name]
    y_true, start = data[0]

    def path(loss):
        x, values = torch.tensor(start, dtype=torch.float32), []
        for _ in range(30):
            value, gradient = run(loss, y_true, x.numpy())
            x = x - 0.01 * gradient
            values.append(value)
        return torch.stack(values), x

    assert_same(*map(path, both(name, **options[-1])), rtol=1e-4, atol=1e-5)


def test_the_cases_are_complete():
    """Every loss of Keras's has its line in the table."""
    classes = [getattr(keras.losses, name) for name in dir(keras.losses)]
    names = {c.__name__ for c in classes if isinstance(c, type) and issubclass(c, keras.Loss)}
    assert names - {"Loss", "CTC"} == set(CASES)  # CTC has a test of its own


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (2, 3, 1)])
def test_weights_per_time_step(reduction, shape):
    y_true, y_pred = SPARSE[2]
    weights = rng.random(shape)
    for name in ("SparseCategoricalCrossentropy", "MeanSquaredError"):
        ours, theirs = both(name, reduction=reduction)
        target = y_true if name.startswith("Sparse") else y_pred * 0.5
        mask = rng.random((2, 3)) > 0.4
        for m in (None, mask) if shape[1] == 3 else (None,):  # Keras merges masks in place
            assert_same(
                run(ours, target, y_pred, weights, m), run(theirs, target, y_pred, weights, m)
            )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("from_logits", [False, True])
def test_ignored_class(reduction, from_logits):
    y_true, y_pred = SPARSE[2]
    for ignored in (1, 255, -1):
        labels = np.where(y_true == 1, ignored, y_true)
        ours, theirs = both(
            "SparseCategoricalCrossentropy",
            ignore_class=ignored,
            reduction=reduction,
            from_logits=from_logits,
        )
        for weights in (None, rng.random((2, 3))):
            assert_same(run(ours, labels, y_pred, weights), run(theirs, labels, y_pred, weights))
        everything = np.full_like(labels, ignored)
        assert_same(run(ours, everything, y_pred), run(theirs, everything, y_pred))


def test_class_axis_in_front():
    y_pred = np.moveaxis(_probabilities(2, 5, 4), -1, 1)
    labels = rng.integers(0, 4, (2, 5))
    for from_logits in (False, True):
        kwargs = {"axis": 1, "from_logits": from_logits}
        ours, theirs = both("SparseCategoricalCrossentropy", **kwargs)
        assert_same(run(ours, labels, y_pred), run(theirs, labels, y_pred))
        ours, theirs = both("CategoricalCrossentropy", **kwargs)
        one_hot = np.moveaxis(np.eye(4, dtype="float32")[labels], -1, 1)
        assert_same(run(ours, one_hot, y_pred), run(theirs, one_hot, y_pred))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryCrossentropy", "Huber"])
def test_predictions_are_cast_to_the_dtype_of_the_loss(name, dtype):
    y_true, y_pred = BINARY[0]
    ours, theirs = both(name)
    got = run(ours, y_true, y_pred, dtype=getattr(torch, dtype))
    expected = run(theirs, y_true, y_pred, dtype=getattr(torch, dtype))
    assert got[0].dtype == torch.float32
    # the gradient is rounded to the dtype of the predictions on both sides
    bounds = {"float16": {"rtol": 1e-3}, "bfloat16": {"rtol": 8e-3}}.get(dtype, {})
    assert_same(got, expected, **bounds)
    ours, theirs = both(name, dtype="float64")
    assert ours.dtype == theirs.dtype == "float64"
    value, gradient = run(ours, y_true, y_pred)
    assert value.dtype == torch.float64  # Keras rounds its result to float32
    assert_same((value.float(), gradient), run(theirs, y_true, y_pred), rtol=1e-6)


@pytest.mark.parametrize("name, kwargs, data", ALL, ids=IDS)
def test_functions(name, kwargs, data):
    ours_class, theirs_class = both(name, **kwargs)
    arguments = ours_class._fn_kwargs
    assert arguments == theirs_class._fn_kwargs
    ours = getattr(losses, ours_class.fn.__name__)
    theirs = getattr(keras.losses, theirs_class.fn.__name__)
    for y_true, y_pred in data:
        if name == "CategoricalCrossentropy" and kwargs.get("axis", -1) >= y_pred.ndim:
            continue
        if y_true.ndim != y_pred.ndim and name not in ("MeanSquaredError", "Huber"):
            continue  # other functions do not align ranks in Keras
        if name == "CategoricalGeneralizedCrossEntropy":
            y_true = torch.as_tensor(y_true)
        p = torch.tensor(y_pred, dtype=torch.float32)
        t = torch.as_tensor(y_true)
        a, b = ours(t, p, **arguments), theirs(t, p, **arguments)
        np.testing.assert_allclose(a, b, **CLOSE)
        assert a.dtype == b.dtype


def test_ctc():
    labels = np.array([[1, 2, 0], [3, 3, 1]])
    logits = rng.normal(size=(2, 7, 4)).astype("float32")
    # Keras's class casts the labels to float, which torch refuses; its function works.
    expected = keras.losses.ctc(torch.tensor(labels), torch.tensor(logits))
    np.testing.assert_allclose(losses.ctc(labels, logits), expected, **CLOSE)
    np.testing.assert_allclose(losses.CTC()(labels, logits), expected.mean(), **CLOSE)


@pytest.mark.parametrize("inputs", ["lists", "numpy", "ints"])
def test_inputs_that_are_no_tensors(inputs):
    y_true, y_pred = [[0.0, 1.0], [1.0, 0.0]], [[0.25, 0.75], [0.5, 0.25]]
    if inputs == "numpy":
        y_true, y_pred = np.array(y_true), np.array(y_pred)
    if inputs == "ints":
        y_true, y_pred = [[0, 1], [1, 0]], [[1, 1], [0, 0]]
    for name in ("MeanSquaredError", "MeanAbsoluteError", "Huber"):
        ours, theirs = both(name)
        np.testing.assert_allclose(ours(y_true, y_pred), theirs(y_true, y_pred), **CLOSE)
        if name == "Huber" and inputs == "ints":
            continue  # Keras's function computes in integers, where a half is 0
        function, keras_function = ours.fn, theirs.fn
        a, b = function(y_true, y_pred), keras_function(y_true, y_pred)
        np.testing.assert_allclose(a, b, **CLOSE)


def test_structures_of_outputs():
    def combined(y_true, y_pred):
        return abs(y_true[0] - y_pred[0]) + (y_true[1] - y_pred[1]) ** 2

    def combined_dict(y_true, y_pred):
        return combined([y_true["a"], y_true["b"]], [y_pred["a"], y_pred["b"]])

    y_true = [torch.rand(4, 1), torch.rand(4)]
    y_pred = [torch.rand(4), torch.rand(4, 1)]
    ours = losses.LossFunctionWrapper(combined)(y_true, y_pred)
    theirs = keras.src.losses.losses.LossFunctionWrapper(combined)(y_true, y_pred)
    np.testing.assert_allclose(ours, theirs, **CLOSE)
    as_dicts = [dict(zip("ab", values, strict=True)) for values in (y_true, y_pred)]
    ours = losses.LossFunctionWrapper(combined_dict)(*as_dicts)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_a_custom_loss_sees_the_mask_and_the_dtype():
    def call(self, y_true, y_pred):
        assert y_pred.dtype == torch.float32
        return ((y_true - y_pred) ** 4).mean(-1)

    ours = type("Quartic", (losses.Loss,), {"call": call})()
    theirs = type("Quartic", (keras.losses.Loss,), {"call": call})()
    mask = np.array([True, False, True, True, False, True])
    y_true, y_pred = REAL[0]
    for arguments in ((y_true, y_pred), (y_true, y_pred, None, mask)):
        assert_same(
            run(ours, *arguments, dtype=torch.float64), run(theirs, *arguments, dtype=torch.float64)
        )


# Names and configs -------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", sorted(keras.src.losses.ALL_OBJECTS_DICT))
def test_identifiers(identifier):
    theirs = keras.src.losses.ALL_OBJECTS_DICT[identifier]
    if identifier == "LossFunctionWrapper":
        return  # needs a function
    ours = losses.get(identifier)
    if isinstance(theirs, type):
        assert type(ours).__name__ == theirs.__name__
    else:
        assert ours.__name__ == theirs.__name__


@pytest.mark.parametrize("name, kwargs, data", ALL, ids=IDS)
def test_configs(name, kwargs, data):
    ours, theirs = both(name, name="mine", reduction="sum", **kwargs)
    expected = keras.losses.serialize(theirs)
    got = losses.serialize(ours)
    # Keras forgets these arguments; ours are kept where they are not the default.
    for forgotten in ("delta", "axis", "alpha"):
        if forgotten in got["config"] and forgotten not in expected["config"]:
            assert got["config"].pop(forgotten) == kwargs[forgotten]
    assert got == expected
    again = losses.deserialize(losses.serialize(ours))
    assert again._fn_kwargs == ours._fn_kwargs
    assert (again.name, again.reduction) == ("mine", "sum")
    assert type(losses.deserialize(expected)) is type(ours)
    if name in keras.src.losses.ALL_OBJECTS_DICT:  # Keras forgot one
        assert type(keras.losses.deserialize(losses.serialize(ours))) is type(theirs)


def test_function_configs_and_wrappers():
    assert losses.serialize(losses.huber) == keras.losses.serialize(keras.losses.huber)
    assert losses.deserialize(keras.losses.serialize(keras.losses.huber)) is losses.huber
    ours = losses.LossFunctionWrapper(losses.huber, delta=0.5, name="w")
    theirs = keras.src.losses.losses.LossFunctionWrapper(keras.losses.huber, delta=0.5, name="w")
    config = keras.losses.serialize(theirs)
    assert losses.serialize(ours) == config
    again = losses.deserialize(config)
    assert again.fn is losses.huber and again._fn_kwargs == {"delta": 0.5}


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.losses.get("mean_square_error"),
        lambda k: k.losses.get(3),
        lambda k: k.losses.MeanSquaredError(reduction="avg"),
        lambda k: k.losses.CategoricalGeneralizedCrossEntropy(q=1.5),
        lambda k: k.losses.categorical_crossentropy(
            torch.zeros(2, 3), torch.zeros(2, 3), axis=True
        ),
        lambda k: k.losses.CategoricalCrossentropy()(torch.zeros(2), torch.rand(2, 3)),
        lambda k: k.losses.BinaryCrossentropy()(torch.zeros(2, 2), torch.rand(2, 3)),
        lambda k: k.losses.SparseCategoricalCrossentropy()(torch.zeros(2, 3), torch.rand(2, 3)),
        lambda k: k.losses.ctc(torch.zeros(2), torch.zeros(2, 3, 4)),
    ],
)
def test_error_types(action):
    import torchkeras

    with pytest.raises(Exception) as theirs:
        action(keras)
    with pytest.raises(theirs.type):
        action(torchkeras)


@pytest.mark.parametrize("y_true", [(8,), (8, 1), (8, 3), (8, 4, 1), (8, 4), (8, 4, 3), ()])
@pytest.mark.parametrize("y_pred", [(8, 1), (8, 3), (8, 4, 3), (8, 4, 1)])
def test_crossentropy_by_shape(y_true, y_pred):
    if not y_true:
        return  # Keras looks at the last axis
    from keras.src.trainers.compile_utils import get_loss

    theirs = get_loss("crossentropy", np.zeros(y_true), np.zeros(y_pred))
    ours = losses.resolve("crossentropy", y_true, y_pred)
    assert ours.fn.__name__ == theirs.fn.__name__
    assert ours.name == theirs.name


@pytest.mark.parametrize("identifier", ["mse", "MSE", "Huber", "BinaryCrossentropy", "huber"])
def test_names_of_resolved_losses(identifier):
    from keras.src.trainers.compile_utils import get_loss

    theirs = get_loss(identifier, np.zeros((2, 1)), np.zeros((2, 1)))
    assert losses.resolve(identifier, (2, 1), (2, 1)).name == theirs.name

    def my_loss(y_true, y_pred):
        return y_pred

    assert losses.resolve(my_loss, (2,), (2,)).name == get_loss(my_loss, None, None).name
