"""What `functions` computes with an activation, loss, metric, optimizer, …, of either library.

Neither TensorFlow nor torchkeras is imported here: functions take what makes tensors (`tensor`,
of arrays) and variables (`variable`). Inputs are drawn from a seed, the same for both.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["differences", "evaluate"]

Results = dict[str, Any]
_STEPS = 20


def evaluate(kind: str, name: str, made: Any, tensor: Any, variable: Any) -> Results:
    """Return what comes out, by what goes in; an exception where it is refused."""
    random = np.random.default_rng(zlib.crc32(kind.encode()))
    how = _EVALUATIONS[kind.removesuffix(".legacy")]
    with np.errstate(all="ignore"):
        return dict(how(name, made, tensor, variable, random))


def _tried(run: Callable[[], Any]) -> Any:
    try:
        return _arrays(run())
    except Exception as error:
        return RuntimeError(f"{type(error).__name__}: {error}".replace("\n", " ")[:200])


def _arrays(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_arrays(item) for item in value]
    if hasattr(value, "detach"):
        value = value.detach()
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    return array.astype("float64") if array.dtype.kind != "b" else array


# Activations, constraints, regularizers ----------------------------------------------------------


def _activation(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    for label, x in _numbers(random):
        yield label, _tried(lambda x=x: made(tensor(x)))
    for dtype in ("float64", "float16"):
        x = random.normal(0, 3, (4, 5)).astype(dtype)
        yield dtype, _tried(lambda x=x: made(tensor(x)))


def _numbers(random: Any) -> Iterator[tuple[str, np.ndarray]]:
    yield "normal", random.normal(0, 3, (4, 5)).astype("float32")
    yield "images", random.normal(0, 1, (2, 3, 3, 4)).astype("float32")
    yield "one column", random.normal(0, 1, (4, 1)).astype("float32")
    yield "zeros", np.zeros((3, 4), "float32")
    yield "ones", np.ones((3, 4), "float32")
    yield "small", random.normal(0, 1e-4, (3, 4)).astype("float32")
    edges = np.float32([-3, -2.5, -1, -0.5, 0.0, 0.5, 1, 2.5, 3, 6, 7, 1e-8])
    yield "edges", edges.reshape(3, 4)
    yield "large", np.float32([[-1e4, -200, -90, -30], [30, 90, 200, 1e4]])
    yield "not numbers", np.float32([[np.nan, 1, 2, -1], [3, 1, np.nan, 0]])
    yield "infinite", np.float32([[np.inf, 1, 2, -1], [3, 1, -np.inf, 0]])


def _constraint(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    yield from _activation(name, made, tensor, variable, random)
    square = random.normal(0, 1, (5, 5, 2, 3)).astype("float32")
    yield "kernel", _tried(lambda: made(tensor(square)))
    yield "kernel of 4", _tried(lambda: made(tensor(square[:4, :4])))


# Initializers ------------------------------------------------------------------------------------


def _initializer(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    for shape in ((120, 300), (300, 120), (3, 3, 24, 48), (5, 24, 400), (40000,), (6, 6)):
        y = _tried(lambda shape=shape: made(shape, dtype="float32"))
        if not isinstance(y, RuntimeError):
            y = _moments(y, made)
        yield str(shape), y


def _moments(y: np.ndarray, made: Any) -> np.ndarray:
    """Return the shape, what is the same of each draw, and what is nearly so."""
    flat = y.reshape(-1, y.shape[-1]) if y.ndim > 1 else y[:, None]
    if "orthogonal" in type(made).__name__.lower():
        product = flat @ flat.T if flat.shape[0] < flat.shape[1] else flat.T @ flat
        return np.array([*y.shape, *np.round(product[:5, :5], 4).reshape(-1)])
    if y.std() == 0 or "Identity" in type(made).__name__:
        return y
    if y.size < 1000:
        return np.array(y.shape)
    quantiles = np.quantile(y, (0.05, 0.25, 0.5, 0.75, 0.95))
    tail = np.abs(y - y.mean()).max()
    return np.array([*y.shape, y.mean(), y.std(), *quantiles, tail])


# Losses ------------------------------------------------------------------------------------------


def _loss(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    is_function = inspect.isroutine(made) or hasattr(made, "func")

    def call(y_true: Any, y_pred: Any, weight: Any, masked: bool = False) -> Any:
        predicted = tensor(y_pred)
        if masked:
            mask = np.arange(np.prod(y_pred.shape[:-1])).reshape(y_pred.shape[:-1]) % 3 != 1
            predicted._keras_mask = tensor(mask)
        given = {} if weight is None else {"sample_weight": tensor(weight)}
        return made(tensor(y_true), predicted, **given)

    for label, *given in list(_pairs(name, random)):
        if not is_function or given[-1] is None:
            yield label, _tried(lambda given=given: call(*given))
        if not is_function and label.startswith(("series", "weight")):
            yield f"mask, {label}", _tried(lambda given=given: call(*given, masked=True))


def _pairs(name: str, random: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield a label, targets, predictions and weights."""
    f32 = np.float32
    if "sparse" in name.lower():
        yield from _sparse_pairs(random)
        return
    for shape, label in (((4, 3), "plain"), ((2, 5, 3), "series"), ((4, 1), "one column")):
        logits = random.normal(0, 2, shape).astype(f32)
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        hot = np.eye(max(shape[-1], 2), dtype=f32)[random.integers(0, shape[-1] or 2, shape[:-1])]
        hot = hot[..., : shape[-1]]
        signs = np.sign(random.normal(size=shape)).astype(f32)
        shares = 1 / (1 + np.exp(-logits)) if shape[-1] == 1 else shares
        yield f"{label}, real", logits + random.normal(size=shape).astype(f32), logits, None
        yield f"{label}, shares", hot, shares.astype(f32), None
        yield f"{label}, soft shares", shares[::-1].astype(f32).copy(), shares.astype(f32), None
        yield f"{label}, signs", signs, logits, None
        yield f"{label}, zeros and ones", (signs > 0).astype(f32), logits, None
        yield f"{label}, whole targets", (signs > 0).astype("int32"), shares.astype(f32), None
        yield f"{label}, true and false", signs > 0, shares.astype(f32), None
        yield f"{label}, float64", hot.astype("float64"), shares.astype("float64"), None
        yield f"{label}, targets of float64", hot.astype("float64"), shares.astype(f32), None
        for axes in range(1, len(shape)):
            weight = random.uniform(0, 2, shape[:axes]).astype(f32)
            yield f"weights of {axes} axes, {label}", hot, shares.astype(f32), weight
        if len(shape) == 2:
            weight = random.uniform(0, 2, (4, 1)).astype(f32)
            yield f"weights in a column, {label}", hot, shares.astype(f32), weight
            yield f"weights that are zero, {label}", hot, shares.astype(f32), np.zeros(4, f32)
            yield f"a weight, {label}", hot, shares.astype(f32), np.array(0.5, f32)
    x = random.uniform(0, 1, (4,)).astype(f32)
    yield "vectors", (x > 0.5).astype(f32), x, None
    yield "a vector and a column", (x > 0.5).astype(f32), x[:, None], None
    yield "a column and a vector", (x > 0.5).astype(f32)[:, None], x, None
    zeros, ones = np.zeros((2, 3), f32), np.ones((2, 3), f32)
    yield "zeros", zeros, zeros, None
    yield "zeros for ones", ones, zeros, None
    yield "ones for zeros", zeros, ones, None
    yield "ones", ones, ones, None
    yield "large", f32([[1, 0, 0], [0, 1, 0]]), f32([[100, -100, 5], [1e4, -1e4, 0]]), None
    yield (
        "shares beyond 0 and 1",
        f32([[1, 0, 0], [0, 1, 0]]),
        f32([[1.5, -0.5, 0], [2, 3, 4]]),
        None,
    )
    yield (
        "not numbers",
        f32([[1, 0, 0], [0, 1, 0]]),
        f32([[np.nan, 0.5, 0.5], [0.1, 0.2, 0.7]]),
        None,
    )
    yield "images", random.uniform(size=(2, 3, 4, 5)).astype(f32), random.uniform(
        0.05, 0.95, (2, 3, 4, 5)).astype(f32), None  # fmt: skip


def _sparse_pairs(random: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    f32 = np.float32
    for shape, label in (((4, 3), "plain"), ((2, 5, 3), "series"), ((2, 3, 4, 3), "images")):
        logits = random.normal(0, 2, shape).astype(f32)
        shares = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(f32)
        kinds = random.integers(0, 3, shape[:-1])
        yield f"{label}, shares", kinds, shares, None
        yield f"{label}, int32", kinds.astype("int32"), shares, None
        yield f"{label}, float targets", kinds.astype(f32), shares, None
        yield f"{label}, in a column", kinds[..., None], shares, None
        yield f"{label}, logits", kinds, logits, None
        yield f"{label}, float64", kinds, shares.astype("float64"), None
        weight = random.uniform(0, 2, shape[:1]).astype(f32)
        yield f"weights, {label}", kinds, shares, weight
        yield f"weights of each, {label}", kinds, shares, random.uniform(
            0, 2, shape[:-1]).astype(f32)  # fmt: skip
    yield "ties", np.array([0, 1, 2]), np.full((3, 3), 1 / 3, f32), None
    yield (
        "some ties",
        np.array([0, 1, 2]),
        f32([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]]),
        None,
    )
    yield "zeros", np.array([0, 1]), np.zeros((2, 3), f32), None
    yield "ones", np.array([0, 1]), np.eye(3, dtype=f32)[:2], None
    yield "large", np.array([0, 1]), f32([[100, -100, 5], [1e4, -1e4, 0]]), None
    yield "not scaled", np.array([0, 1]), f32([[2, 1, 1], [0.1, 0.1, 0.1]]), None
    yield "not numbers", np.array([0, 1]), f32([[np.nan, 0.5, 0.5], [0.1, 0.2, 0.7]]), None
    yield "ignored", np.array([0, -1, 2]), random.uniform(0.1, 0.9, (3, 3)).astype(f32), None


# Metrics -----------------------------------------------------------------------------------------


def _metric(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    if not hasattr(made, "update_state"):
        yield from _loss(name, made, tensor, variable, random)
        return
    yield "name", str(made.name)
    if name in ("Mean", "Sum", "MeanTensor"):
        pairs = [(label, x, None, None) for label, x in _numbers(random)]
        pairs += [("weights", random.normal(size=(4, 3)).astype("float32"), None,
                   random.uniform(size=(4, 1)).astype("float32"))]  # fmt: skip
        pairs += [("row weights", random.normal(size=(4, 3)).astype("float32"), None,
                   random.uniform(size=(4,)).astype("float32"))]  # fmt: skip
    elif name in ("IoU", "MeanIoU", "BinaryIoU", "OneHotIoU", "OneHotMeanIoU"):
        pairs = list(_segments(name, random))
    else:
        pairs = list(_pairs(name, random))
        cuts = np.float32([[0.0, 0.5, 1.0], [0.5, 0.0, 0.7], [1.0, 1.0, 0.4]])
        hot = np.float32([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
        if "Sparse" not in name:
            pairs.append(("at the thresholds", hot, cuts, None))
            pairs.append(("ties", hot, np.full((3, 3), 0.25, "float32"), None))
            pairs.append(("numbers of classes", np.float32([[1], [2], [3]]),
                          np.float32([[1], [3], [3]]), None))  # fmt: skip
            big = random.uniform(size=(300, 1)).astype("float32")
            noise = random.uniform(size=(300, 1))
            pairs.append(("many", (big > noise).astype("float32"), big, None))
            weight = random.uniform(size=300).astype("float32")
            pairs.append(("many, weights", (big > noise).astype("float32"), big, weight))
    for label, *batch in pairs:
        yield label, _tried(lambda batch=batch: _updated(made, tensor, batch))


def _updated(made: Any, tensor: Any, batch: Any) -> Any:
    """Return the result after two batches, the second backwards, and after none."""
    (made.reset_state if hasattr(made, "reset_state") else made.reset_states)()
    if type(made).__name__ == "MeanTensor":  # of the shape before
        made = type(made).from_config(made.get_config())
    results = []
    y_true, y_pred, weight = batch
    for step in (1, -1):
        given = [x if x is None or x.ndim == 0 else np.ascontiguousarray(x[::step]) for x in batch]
        given = [None if x is None else tensor(x) for x in given]
        tensors = given[:1] if y_pred is None else given[:2]
        options = {} if weight is None else {"sample_weight": given[2]}
        made.update_state(*tensors, **options)
        results.append(made.result())
    return results


def _segments(name: str, random: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    kinds, found = random.integers(0, 3, (2, 4, 5)), random.integers(0, 3, (2, 4, 5))
    if name == "BinaryIoU":
        shares = random.uniform(size=(2, 4, 5)).astype("float32")
        shares[0, 0, :3] = 0.5, 0.0, 1.0
        yield "shares", (kinds > 1).astype("int64"), shares, None
        weight = random.uniform(size=(2, 4, 5)).astype("float32")
        yield "weights", (kinds > 1).astype("int64"), shares, weight
        return
    if name.startswith("OneHot"):
        hot, shares = np.eye(3, dtype="int64")[kinds], random.uniform(size=(2, 4, 5, 3))
        yield "shares", hot, shares.astype("float32"), None
        yield "found", hot, found, None
        return
    yield "kinds", kinds, found, None
    yield "kinds of int32", kinds.astype("int32"), found.astype("int32"), None
    yield "weights", kinds, found, random.uniform(size=(2, 4, 5)).astype("float32")
    yield "some missing", kinds * 0 + 1, kinds * 0 + 1, None


# Optimizers and schedules ------------------------------------------------------------------------


def _optimizer(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    shapes = ((3, 4), (4,))
    start = [random.normal(size=shape).astype("float32") for shape in shapes]
    steps = [
        [random.normal(0, scale, shape).astype("float32") for shape in shapes]
        for scale in (*(10.0 ** random.uniform(-3, 1, _STEPS - 3)), 0.0, 0.0, 1.0)
    ]
    variables = [variable(x) for x in start]
    places = []
    for gradients in steps:
        pairs = [(tensor(g), v) for g, v in zip(gradients, variables, strict=True)]
        error = _tried(lambda pairs=pairs: [made.apply_gradients(pairs)][:0])
        if isinstance(error, RuntimeError):
            yield "steps", error
            return
        places.append(_arrays(variables))
    yield "steps", [array for step in places for array in step]
    held = made.variables() if callable(made.variables) else made.variables
    slots = [_arrays(v) for v in held]
    yield "slots", [slot for slot in slots if slot.shape in shapes]
    if getattr(made, "use_ema", False):
        made.finalize_variable_values(variables)
        yield "finalized", _arrays(variables)


def _schedule(name: str, made: Any, tensor: Any, variable: Any, random: Any) -> Iterator[Any]:
    for step in (0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 23, 100, 1000):
        yield f"step {step}", _tried(lambda step=step: made(step))
        yield f"step {step} as a tensor", _tried(lambda step=step: made(tensor(np.array(step))))


_EVALUATIONS: dict[str, Callable[..., Iterator[Any]]] = {
    "activations": _activation,
    "constraints": _constraint,
    "initializers": _initializer,
    "losses": _loss,
    "metrics": _metric,
    "optimizers": _optimizer,
    "optimizers.schedules": _schedule,
    "regularizers": _constraint,
}


# Comparison --------------------------------------------------------------------------------------


def differences(kind: str, theirs: Results, ours: Results) -> Iterator[tuple[str, str, str]]:
    """Yield the label, `same`, `DIFFERENT` or who refuses it, and details."""
    for label, expected in theirs.items():
        made = ours.get(label)
        if isinstance(expected, RuntimeError):
            yield label, "refused by tf_keras", ""
        elif made is None or isinstance(made, RuntimeError):
            yield label, "refused", str(made)
        else:
            if label == "slots":
                made = [min(made, key=lambda x, y=y: _apart(y, x), default=y * 0) for y in expected]
            wrong = _difference(expected, made, _tolerance(kind, label))
            yield label, "DIFFERENT" if wrong else "same", wrong or ""


def _tolerance(kind: str, label: str) -> float:
    if kind == "initializers":
        return 0.06  # of draws
    if kind.startswith("optimizers"):
        return 3e-5  # 1 - 0.999 in float32 is off by 1.3e-5
    return 2e-3 if label == "float16" else 1e-5


def _difference(expected: Any, made: Any, tolerance: float) -> str | None:
    if isinstance(expected, str) or isinstance(made, str):
        return None if expected == made else f"{made} for {expected}"
    if isinstance(expected, list) or isinstance(made, list):
        if type(made) is not type(expected) or len(made) != len(expected):
            return "another number of results"
        wrong = (_difference(a, b, tolerance) for a, b in zip(expected, made, strict=True))
        return next((what for what in wrong if what), None)
    if expected.shape != made.shape:
        return f"shape {made.shape} for {expected.shape}"
    apart = _apart(expected, made)
    if apart <= tolerance:
        return None
    worst = f"{made.reshape(-1)[:4]} for {expected.reshape(-1)[:4]}"
    return f"apart by {apart:.2g}: {worst}"


def _apart(expected: np.ndarray, made: np.ndarray) -> float:
    """Return how far apart two arrays are, of the largest number that is one."""
    if expected.shape != made.shape or not np.array_equal(np.isnan(expected), np.isnan(made)):
        return np.inf
    same = (expected == made) | np.isnan(expected)
    if same.all():
        return 0.0
    if not np.isfinite(np.where(same, 0.0, expected - made)).all():
        return np.inf
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(float(finite.max(initial=0)), 0.1)
    return float(np.abs(np.where(same, 0.0, expected - made)).max()) / scale
