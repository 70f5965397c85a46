"""Losses: closed forms in float64, the fused path against the general one, errors, the meta device.

Both are float32 on one side; sums of at most 24 rounded terms stay within a few units in the last
place, which the tolerances allow.
"""

import inspect

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchkeras import Input, Model, config, losses, metrics
from torchkeras.losses.loss import MEAN_KERNELS, Loss, LossFunctionWrapper

rng = np.random.default_rng(0)
REAL = (rng.normal(size=(6, 4)), rng.normal(size=(6, 4)))
PROBS = scipy.special.softmax(rng.normal(size=(6, 4)), -1)
BITS = (rng.integers(0, 2, (6, 4)).astype(float), rng.random((6, 4)) * 0.98 + 0.01)
ONE_HOT = (np.eye(4)[rng.integers(0, 4, 6)], PROBS)
LABELS = (ONE_HOT[0].argmax(-1), PROBS)
PICKED = PROBS[np.arange(6), LABELS[0]]

# Loss -> (arguments, data, its values in float64).
CLOSED_FORMS = [
    ("MeanSquaredError", {}, REAL, lambda t, p: ((t - p) ** 2).mean(-1)),
    ("MeanAbsoluteError", {}, REAL, lambda t, p: abs(t - p).mean(-1)),
    ("MeanAbsolutePercentageError", {}, REAL, lambda t, p: 100 * abs((t - p) / t).mean(-1)),
    (
        "MeanSquaredLogarithmicError",
        {},
        BITS,
        lambda t, p: ((np.log1p(np.maximum(t, 1e-7)) - np.log1p(p)) ** 2).mean(-1),
    ),
    ("Huber", {"delta": 0.7}, REAL, lambda t, p: scipy.special.huber(0.7, t - p).mean(-1)),
    ("LogCosh", {}, REAL, lambda t, p: np.log(np.cosh(t - p)).mean(-1)),
    (
        "CosineSimilarity",
        {},
        REAL,
        lambda t, p: -(t * p).sum(-1) / np.linalg.norm(t, axis=-1) / np.linalg.norm(p, axis=-1),
    ),
    ("Hinge", {}, BITS, lambda t, p: np.maximum(1 - (2 * t - 1) * p, 0).mean(-1)),
    ("SquaredHinge", {}, BITS, lambda t, p: (np.maximum(1 - (2 * t - 1) * p, 0) ** 2).mean(-1)),
    ("BinaryCrossentropy", {}, BITS, lambda t, p: -np.log(np.where(t, p, 1 - p)).mean(-1)),
    (
        "BinaryCrossentropy",
        {"from_logits": True, "label_smoothing": 0.2},
        (BITS[0], REAL[0]),
        lambda t, x: (
            -(0.8 * t + 0.1) * scipy.special.log_expit(x)
            - (0.9 - 0.8 * t) * scipy.special.log_expit(-x)
        ).mean(-1),
    ),
    (
        "BinaryFocalCrossentropy",
        {"gamma": 2.0},
        BITS,
        lambda t, p: -((1 - np.where(t, p, 1 - p)) ** 2 * np.log(np.where(t, p, 1 - p))).mean(-1),
    ),
    ("CategoricalCrossentropy", {}, ONE_HOT, lambda t, p: -np.log(PICKED)),
    ("SparseCategoricalCrossentropy", {}, LABELS, lambda t, p: -np.log(PICKED)),
    (
        "SparseCategoricalCrossentropy",
        {"from_logits": True},
        (LABELS[0], REAL[0]),
        lambda t, x: -scipy.special.log_softmax(x, -1)[np.arange(6), t],
    ),
    (
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        (ONE_HOT[0], REAL[0]),
        lambda t, x: -((0.9 * t + 0.025) * scipy.special.log_softmax(x, -1)).sum(-1),
    ),
    (
        "CategoricalGeneralizedCrossEntropy",
        {"q": 0.7},
        LABELS,
        lambda t, p: (1 - PICKED**0.7) / 0.7,
    ),
    ("KLDivergence", {}, (PROBS[::-1], PROBS), lambda t, p: scipy.special.rel_entr(t, p).sum(-1)),
    ("Poisson", {}, (BITS[0], BITS[1]), lambda t, p: (p - t * np.log(p)).mean(-1)),
    (
        "Dice",
        {"axis": 1},
        BITS,
        lambda t, p: 1 - 2 * (t * p).sum(-1) / (t.sum(-1) + p.sum(-1) + 1e-7),
    ),
]
IDS = [f"{name}-{kwargs}" for name, kwargs, _, _ in CLOSED_FORMS]
CLOSE = {"rtol": 2e-5, "atol": 1e-6}


@pytest.mark.parametrize("name, kwargs, data, expected", CLOSED_FORMS, ids=IDS)
def test_closed_forms(name, kwargs, data, expected):
    y_true, y_pred = (torch.tensor(np.ascontiguousarray(x)) for x in data)
    values = expected(*data)
    loss_class = getattr(losses, name)
    weights = torch.tensor(rng.random(6))
    for reduction, weight, wanted in (
        ("sum_over_batch_size", None, values.mean()),
        ("sum", None, values.sum()),
        ("none", None, values),
        ("sum_over_batch_size", weights, (values * weights.numpy()).mean()),
        ("mean_with_sample_weight", weights, np.average(values, weights=weights.numpy())),
    ):
        loss = loss_class(reduction=reduction, **kwargs)
        for inputs in ((y_true, y_pred), (y_true.float(), y_pred.float())):
            np.testing.assert_allclose(loss(*inputs, weight), wanted, **CLOSE)
        double = loss_class(reduction=reduction, dtype="float64", **kwargs)
        np.testing.assert_allclose(double(y_true, y_pred, weight), wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("function", list(MEAN_KERNELS), ids=lambda f: f.__name__)
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4), (6, 1)])
def test_fused_path_equals_the_general_path(function, from_logits, shape):
    kwargs = {"from_logits": from_logits} if "crossentropy" in function.__name__ else {}
    if shape[-1] == 1 and "categorical" in function.__name__:
        pytest.skip("one class")
    loss = LossFunctionWrapper(function, **kwargs)
    results = []
    for kernel in (loss._mean_kernel, None):
        loss._mean_kernel = kernel
        torch.manual_seed(0)
        y_pred = torch.rand(shape, requires_grad=True)
        y_true = torch.rand(shape).softmax(-1)
        if function is losses.sparse_categorical_crossentropy:
            y_true = torch.randint(0, 4, shape[:-1])
        value = loss(y_true, y_pred)
        (gradient,) = torch.autograd.grad(value, y_pred)
        results.append((value.detach(), gradient))
    assert results[0][0].shape == ()
    for fused, general in zip(*results, strict=True):
        torch.testing.assert_close(fused, general, rtol=2e-6, atol=1e-7)


def test_the_fused_path_is_taken(monkeypatch):
    def slow(*args, **kwargs):
        raise AssertionError("the general path was taken")

    monkeypatch.setattr(Loss, "__call__", slow)
    labels, probs = torch.tensor(LABELS[0]), torch.tensor(PROBS, dtype=torch.float32)
    losses.SparseCategoricalCrossentropy()(labels, probs)
    losses.SparseCategoricalCrossentropy()(labels.int().unsqueeze(1), probs)
    losses.CategoricalCrossentropy()(probs, probs)
    for loss in (losses.BinaryCrossentropy(), losses.MeanSquaredError(), losses.Huber()):
        loss(probs, probs)
        loss(torch.ones(6), probs[:, :1])
        loss(torch.ones(6, 1, dtype=torch.int64), probs[:, :1])
    with pytest.raises(AssertionError):
        losses.MeanSquaredError()(probs, probs, torch.ones(6))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=12),
    st.floats(0.1, 10.0),
)
def test_huber_lies_between_absolute_and_squared_error(errors, delta):
    errors = torch.tensor(errors, dtype=torch.float64).reshape(-1, 1)
    zeros = torch.zeros_like(errors)
    huber = losses.huber(zeros, errors, delta=delta)
    assert (huber <= 0.5 * errors.square().mean(-1) + 1e-9).all()
    assert (huber <= delta * errors.abs().mean(-1) + 1e-9).all()
    assert (huber >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 2**31))
def test_masked_mean_equals_the_mean_of_what_is_left(batch, steps, seed):
    generator = torch.Generator().manual_seed(seed)
    y_true, y_pred = (torch.rand(batch, steps, 3, generator=generator) for _ in range(2))
    mask = torch.rand(batch, steps, generator=generator) > 0.4
    y_pred._keras_mask = mask
    loss = losses.MeanSquaredError()(y_true, y_pred)
    if mask.any():
        expected = (y_true - y_pred)[mask].square().mean()
        torch.testing.assert_close(loss, expected)
    else:
        assert loss == 0


def test_extreme_probabilities_are_finite_and_saturated():
    certain = torch.tensor([[0.0], [1.0]])
    assert losses.BinaryCrossentropy()(certain, certain) < 1e-6
    worst = losses.BinaryCrossentropy()(1 - certain, certain)
    # 1 - 1e-7 in float32 lies 1.19e-7 below 1
    np.testing.assert_allclose(worst, (-np.log(1e-7) - np.log(2**-23)) / 2, rtol=1e-5)


@pytest.mark.parametrize("name", ["BinaryCrossentropy", "MeanSquaredError"])
def test_nan_predictions_give_a_nan_loss(name):
    y_pred = torch.tensor([[0.5], [float("nan")]], requires_grad=True)
    loss = getattr(losses, name)()(torch.ones(2, 1), y_pred * 1)
    assert loss.isnan()
    loss.backward()
    assert getattr(losses, name)(reduction="none")(torch.ones(2, 1), y_pred).isnan().tolist() == [
        False,
        True,
    ]


def test_binary_loss_through_logits_equals_the_direct_one(monkeypatch):
    """The form used on CUDA, where the direct kernel stops the process at a NaN."""
    y_true, y_pred = (torch.tensor(x) for x in BITS)
    direct = losses.binary_crossentropy(y_true, y_pred)

    def refuse(*args):
        raise RuntimeError

    monkeypatch.setattr(torch._C._nn, "binary_cross_entropy", refuse)
    torch.testing.assert_close(losses.binary_crossentropy(y_true, y_pred), direct)


def test_integer_targets_and_other_containers():
    as_lists = losses.MeanSquaredError()([[1], [2]], [[1.0], [4.0]])
    as_arrays = losses.MeanSquaredError()(np.array([[1], [2]]), np.array([[1.0], [4.0]]))
    assert as_lists == as_arrays == 2.0
    assert as_lists.dtype == torch.float32


def test_labels_are_not_rounded_to_a_short_float():
    labels = torch.tensor([299, 257])  # bfloat16 has 8 bits
    logits = torch.zeros(2, 300)
    logits[[0, 1], labels] = 20.0
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, dtype="bfloat16")
    assert loss(labels, logits) < 1e-3
    assert loss(labels, logits, torch.ones(2)) < 1e-3


def test_no_values_at_all():
    empty = torch.zeros(0, 3)
    assert losses.MeanSquaredError()(empty, empty).shape == (0,)  # as in Keras
    assert losses.MeanSquaredError(reduction="sum")(torch.zeros(2, 0, 3), torch.zeros(2, 0, 3)) == 0


def test_nested_outputs():
    def loss(y_true, y_pred):
        return (y_true["a"] - y_pred["a"]).abs() + (y_true["b"] - y_pred["b"]).abs()

    y_true = {"a": torch.ones(3), "b": torch.ones(3)}
    y_pred = {"a": torch.zeros(3), "b": torch.zeros(3)}
    assert LossFunctionWrapper(loss)(y_true, y_pred) == 2.0


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("classes", [3, 600])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "low, beyond, said",
    [
        (0, 0, "labels from 0 to"),
        (-1, -1, "`ignore_class=-1`"),
        (1, 0, "subtract 1"),
        (0, 4, "5 more"),
    ],
)
def test_labels_outside_the_classes(from_logits, classes, weighted, low, beyond, said):
    labels = [low, classes + beyond]
    said = f"at least {classes + 5} units" if said == "5 more" else said
    loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    with pytest.raises(ValueError) as error:
        loss(torch.tensor(labels), torch.rand(2, classes), torch.ones(2) if weighted else None)
    message = str(error.value)
    assert "sparse_categorical_crossentropy" in message
    assert f"labels from {min(labels)} to {max(labels)}" in message
    assert f"0 to {classes - 1}" in message
    assert said in message


@pytest.mark.parametrize(
    "name, y_true, y_pred, said",
    [
        ("mean_squared_error", (4, 2), (4, 3), "last layer"),
        ("mean_squared_error", (5, 3), (4, 3), "one row per row"),
        ("huber", (4, 2), (4, 3), "y_true: (4, 2)"),
        ("binary_crossentropy", (4, 2), (4, 3), "y_pred: (4, 3)"),
        ("categorical_crossentropy", (4,), (4, 3), "sparse_categorical_crossentropy"),
        ("categorical_crossentropy", (4, 1), (4, 3), "to_categorical(y, 3)"),
        ("sparse_categorical_crossentropy", (4, 3), (4, 3), "argmax"),
        ("sparse_categorical_crossentropy", (5,), (4, 3), "expected: y_true of shape (4,)"),
        ("hinge", (4, 2), (4, 3), "y_true: (4, 2)"),
        ("kl_divergence", (4, 2), (4, 3), "y_true: (4, 2)"),
    ],
)
def test_shape_errors_name_the_loss_and_the_shapes(name, y_true, y_pred, said):
    loss = losses.resolve(name, y_true, y_pred)
    with pytest.raises(ValueError) as error:
        loss(torch.zeros(y_true), torch.rand(y_pred))
    assert name in str(error.value)
    assert "Fix: " in str(error.value)
    assert said in str(error.value)


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"sample_weight: \(3,\)"):
        losses.MeanSquaredError()(torch.zeros(4, 2), torch.zeros(4, 2), torch.ones(3))
    y_pred = torch.zeros(4, 5, 2)
    y_pred._keras_mask = torch.ones(4, 5, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"of shape \(4, 1\)"):
        losses.MeanSquaredError()(torch.zeros(4, 5, 2), y_pred, torch.ones(4))


def test_unknown_names():
    with pytest.raises(ValueError, match="Did you mean 'mean_squared_error'"):
        losses.get("mean_sqared_error")
    with pytest.raises(ValueError, match="reduction"):
        losses.Huber(reduction="average")
    with pytest.raises(NotImplementedError):
        losses.Loss()(torch.zeros(1), torch.zeros(1))


def test_names_are_strings_without_slashes():
    for wrong in ("a/b", 3):
        with pytest.raises(ValueError, match="`name`"):
            losses.Huber(name=wrong)
    assert losses.Huber(name={}).name.startswith("huber")  # nothing is no name


def test_an_axis_is_needed():
    for cls in (losses.CosineSimilarity, losses.Dice, losses.CategoricalFocalCrossentropy):
        with pytest.raises(ValueError, match="`axis`"):
            cls(axis=())


def test_one_class_warns():
    with pytest.warns(SyntaxWarning, match="single class"):
        losses.CategoricalCrossentropy()(torch.ones(2, 1), torch.ones(2, 1))


# Identifiers -------------------------------------------------------------------------------------


def test_names_of_keras_2():
    for module in (losses, metrics):
        for name in ("mse", "MSE", "mae", "MAPE", "msle", "kld", "logcosh"):
            assert getattr(module, name) is losses.get(name)
        assert module.KLD is losses.kullback_leibler_divergence is losses.kl_divergence
        with pytest.raises(AttributeError, match="no attribute 'mze'"):
            module.mze  # noqa: B018
    none = losses.MeanSquaredError(reduction=losses.Reduction.NONE)
    assert none([[1.0], [3.0]], [[0.0], [0.0]]).tolist() == [1, 9]
    assert not hasattr(metrics, "Reduction")


def test_get_accepts_everything():
    assert losses.get(None) is None
    assert losses.get("mse") is losses.get("MSE") is losses.mean_squared_error
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    loss = losses.Huber(2.0)
    assert losses.get(loss) is loss
    assert losses.get({"class_name": "Huber", "config": {"delta": 3.0}}).delta == 3.0
    assert losses.get(sum) is sum


def test_configs_keep_every_argument():
    loss = losses.SparseCategoricalCrossentropy(True, ignore_class=3, axis=1, name="x")
    again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert (again.from_logits, again.ignore_class, again.axis) == (True, 3, 1)
    assert losses.deserialize(losses.serialize(losses.Huber(0.5))).delta == 0.5


def test_a_subclass_that_overrides_call_is_called():
    class Doubled(losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            return 2 * super().call(y_true, y_pred)

    assert Doubled()(torch.zeros(2, 1), torch.ones(2, 1)) == 2.0


@pytest.mark.parametrize(
    "y_true, y_pred, kind",
    [
        ((None,), (None, 1), "binary"),
        ((None, 1), (None, 1), "binary"),
        ((None,), (None, 10), "sparse"),
        ((None, 1), (None, 10), "sparse"),
        ((None, 10), (None, 10), "categorical"),
        ((None, 5), (None, 5, 10), "sparse"),
        ((), (), "binary"),
    ],
)
def test_label_kind(y_true, y_pred, kind):
    assert losses.label_kind(y_true, y_pred) == kind


# Devices and compilation -------------------------------------------------------------------------

META = [(name, kwargs, data) for name, kwargs, data, _ in CLOSED_FORMS]


@pytest.mark.parametrize("name, kwargs, data", META, ids=IDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_everything_stays_on_the_meta_device(name, kwargs, data, weighted):
    with torch.device("meta"):
        y_true, y_pred = (
            torch.empty(x.shape, dtype=torch.as_tensor(x[:0].copy()).dtype) for x in data
        )
        y_pred = y_pred.float().requires_grad_()
        loss = getattr(losses, name)(**kwargs)(y_true, y_pred, torch.ones(6) if weighted else None)
        loss.backward()
    assert loss.is_meta and y_pred.grad.is_meta


def test_ignored_class_stays_on_the_meta_device():
    with config.device("meta"):
        loss = losses.SparseCategoricalCrossentropy(ignore_class=0)
        value = loss(
            torch.zeros(3, 4, dtype=torch.int64, device="meta"), torch.zeros(3, 4, 5, device="meta")
        )
    assert value.is_meta


@pytest.mark.parametrize("name, kwargs, data", META[:5] + META[9:16], ids=IDS[:5] + IDS[9:16])
def test_traces_into_one_graph(name, kwargs, data):
    loss = getattr(losses, name)(**kwargs)
    y_true, y_pred = (torch.tensor(x) for x in data)
    traced = torch.compile(lambda t, p: loss(t, p), fullgraph=True, backend="eager")
    torch.testing.assert_close(traced(y_true, y_pred.float()), loss(y_true, y_pred.float()))
    torch._dynamo.reset()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name, kwargs, data", META, ids=IDS)
def test_cuda_equals_cpu(name, kwargs, data):
    y_true, y_pred = (torch.tensor(np.ascontiguousarray(x)) for x in data)
    loss = getattr(losses, name)(**kwargs)
    value = loss(y_true.cuda(), y_pred.float().cuda())
    assert value.is_cuda
    torch.testing.assert_close(value.cpu(), loss(y_true, y_pred.float()), rtol=1e-5, atol=1e-6)


def test_labels_follow_the_predictions_to_their_device():
    meta = torch.zeros(3, 2, device="meta")
    assert losses.MeanSquaredError()(np.zeros((3, 2)), meta).is_meta
    assert isinstance(losses.get(nn.MSELoss()), losses.TorchLoss)


SYMBOLIC = {
    name: function
    for home in (losses, metrics)
    for name, function in vars(home).items()
    if not name.startswith("_")
    and inspect.isfunction(function)
    and [*inspect.signature(function).parameters][:2] == ["y_true", "y_pred"]
}


@pytest.mark.parametrize("name", sorted(SYMBOLIC))
def test_functions_take_symbols(name):
    """As in Keras; there is no function of targets and predictions that does not."""
    function = SYMBOLIC[name]
    rng = np.random.default_rng(0)
    y_pred = rng.uniform(0.1, 0.9, (4, 6, 3)).astype("float32")
    y_true = rng.integers(0, 2, (4, 6, 3)).astype("float32")
    if name == "circle":
        y_pred, y_true = y_pred[:, 0], y_true[:, 0, 0]
    elif name == "ctc":
        y_true = np.ones((4, 2), "int32")
    elif name.startswith("sparse") or "generalized" in name:
        y_true = y_true[..., 0]
    extra = {"q": 0.5} if "generalized" in name else {"k": 2} if "top_k" in name else {}
    inputs = [Input(a.shape[1:], dtype=str(a.dtype)) for a in (y_true, y_pred)]
    symbol = function(*inputs, **extra)
    expected = function(y_true, y_pred, **extra)
    assert symbol.dtype == str(expected.dtype).removeprefix("torch.")
    assert len(symbol.shape) == expected.ndim
    model = Model(inputs, symbol)
    torch.testing.assert_close(model([y_true, y_pred]), expected, equal_nan=True)
    again = Model.from_config(model.get_config())
    torch.testing.assert_close(again([y_true, y_pred]), expected, equal_nan=True)
