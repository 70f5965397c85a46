"""Models of several outputs or inputs, and all forms in which `compile` and `fit` are told so."""

from __future__ import annotations

from .. import pieces
from ..drawing import Draw, assemble
from ._model_bodies import dense

__all__ = ["program"]

_LOSSES = ("'mse'", "'mae'", "keras.losses.Huber()", "keras.losses.LogCosh()")
_METRICS = ("'mae'", "'mse'", "keras.metrics.RootMeanSquaredError()", "'cosine_similarity'")


def _structured(draw: Draw, kind: str, keys: list[str], values: list[str]) -> str:
    """Values for the outputs, as a list, a tuple, a dict, or that of pairs in a list."""
    if kind == "dict":
        return "{" + ", ".join(f"{k!r}: {v}" for k, v in zip(keys, values, strict=True)) + "}"
    if kind == "tuple":
        return "(" + "".join(f"{value}, " for value in values) + ")"
    return "[" + ", ".join(values) + "]"


def _losses(draw: Draw, kind: str, keys: list[str], named: bool) -> tuple[str, bool]:
    """The `loss` of `compile`, and whether each output has one."""
    values = [draw.one(_LOSSES) for _ in keys]
    form = draw.one(["single", "same", "same", "dict", "list", "partial"])
    if form == "single":
        return draw.one(_LOSSES), True
    if form == "dict" and named:  # names that nothing has end in accidents in Keras
        return _structured(draw, "dict", keys, values), True
    if form == "list":
        return _structured(draw, "list", keys, values), True
    if form == "partial":
        left = draw.whole(0, len(keys) - 1)
        values[left] = "None"
        return _structured(draw, kind, keys, values), False
    return _structured(draw, kind, keys, values), True


def _per_output(draw: Draw, kind: str, keys: list[str], named: bool) -> str:
    """The `metrics` of `compile`."""

    def entry() -> str:
        chosen = draw.some(_METRICS, 0, 2)
        return draw.one([f"[{', '.join(chosen)}]", draw.one(_METRICS)])

    form = draw.one(["same", "same", "dict", "some"])
    if form == "some" and named:
        few = draw.some(keys, 1)
        return _structured(draw, "dict", few, [entry() for _ in few])
    values = [entry() for _ in keys]
    return _structured(draw, "dict" if form == "dict" and named else kind, keys, values)


def _compilation(draw: Draw, kind: str, keys: list[str], named: bool) -> tuple[str, bool]:
    loss, complete = _losses(draw, kind, keys, named)
    arguments = [f"optimizer={pieces.optimizer(draw)}", f"loss={loss}"]
    if complete and loss[0] in "[({" and draw.chance(0.5):
        factors = [draw.one(["1.0", "0.5", "2"]) for _ in keys]
        form = "dict" if loss.startswith("{") else "list"
        arguments.append(f"loss_weights={_structured(draw, form, keys, factors)}")
    if draw.chance(0.6):
        arguments.append(f"metrics={_per_output(draw, kind, keys, named)}")
    if draw.chance(0.25):
        arguments.append(f"weighted_metrics={_per_output(draw, kind, keys, named)}")
    return f"model.compile({', '.join(arguments)})", complete


def _functional(draw: Draw, kind: str, keys: list[str], widths: list[int], named: bool) -> str:
    lines = ["entry = keras.Input((3,))", f"x = {dense(draw, 4)}(entry)"]
    for key, width in zip(keys, widths, strict=True):
        lines.append(f"{key}_out = {dense(draw, width, key if named else None)}(x)")
    outputs = _structured(draw, kind, keys, [f"{key}_out" for key in keys])
    lines.append(f"model = keras.Model(entry, {outputs})")
    return "\n".join(lines)


def _subclass(draw: Draw, kind: str, keys: list[str], widths: list[int]) -> str:
    made = [
        f"        self.{key}_out = {dense(draw, w)}" for key, w in zip(keys, widths, strict=True)
    ]
    outputs = _structured(draw, kind, keys, [f"self.{key}_out(x)" for key in keys])
    lines = ["class Many(keras.Model):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        self.first = {dense(draw, 4)}", *made]
    lines += ["    def call(self, x):", "        x = self.first(x)", f"        return {outputs}"]
    if draw.chance(0.3):
        lines += [
            "    def train_step(self, data):",
            "        x, y = data",
            "        self.zero_grad()",
            "        y_pred = self(x, training=True)",
            "        loss = self.compute_loss(x, y, y_pred)",
            "        loss.backward()",
            "        gradients = [v.value.grad for v in self.trainable_weights]",
            "        with torch.no_grad():",
            "            self.optimizer.apply(gradients, self.trainable_weights)",
            "        for metric in self.metrics:",
            "            if metric.name == 'loss':",
            "                metric.update_state(loss)",
            "            elif metric.name == 'compile_metrics':",
            "                metric.update_state(y, y_pred)",
            "        return {m.name: m.result() for m in self.metrics}",
        ]
    return "\n".join([*lines, "model = Many()"])


def program(draw: Draw) -> str:
    """Write a program about several outputs."""
    count = draw.whole(2, 3)
    keys = draw.shuffled(["alpha", "beta", "gamma"])[:count]
    widths = [draw.whole(1, 3) for _ in keys]
    rows = draw.one([4, 6, 8])
    kind = draw.one(["list", "dict", "dict", "tuple"])
    functional = draw.chance(0.6)
    named = kind != "dict" or draw.chance(0.7)
    if functional:
        source = _functional(draw, kind, keys, widths, named)
    else:
        source = _subclass(draw, kind, keys, widths)
    known = kind == "dict" or functional
    compiled, complete = _compilation(draw, kind, keys, known)
    own_step = "def train_step" in source
    targets = [f"numbers({rows}, {w}, seed={i + 1})" for i, w in enumerate(widths)]
    other = functional and named and complete and draw.chance(0.2)
    form = draw.one(["list", "dict"]) if other else kind
    lines = [
        compiled,
        f"x = numbers({rows}, 3)",
        f"y = {_structured(draw, form if form != 'tuple' else 'list', keys, targets)}",
    ]
    weights, fitted = "", ["epochs=2", "batch_size=4", "verbose=0"]
    if draw.chance(0.3) and not own_step and form == kind:
        weight = f"np.linspace(0.5, 2, {rows}, dtype='float32')"
        each = _structured(draw, form if form != "tuple" else "list", keys, [weight] * count)
        weights = ", sample_weight=" + (draw.one([weight, each]) if form == kind else weight)
    if draw.chance(0.3):
        fitted.append("validation_data=(x, y)")
    on_batch = draw.chance() and not own_step
    uses = [
        f"show('history', model.fit(x, y, {', '.join(fitted)}{weights}).history)",
        f"show('evaluated', model.evaluate(x, y, verbose=0{weights}))",
        f"show('evaluated', model.evaluate(x, y, verbose=0, return_dict=True{weights}))",
        "show('predicted', model.predict(x, verbose=0))",
        "print('names', model.metrics_names, [m.name for m in model.metrics])",
        "print('losses', type(model.loss).__name__, len(model.losses))",
    ]
    if on_batch:
        uses += [
            f"show('on batch', model.train_on_batch(x, y{weights}))",
            f"show('on batch', model.test_on_batch(x, y, return_dict=True{weights}))",
        ]
    if functional:
        uses.append("print('outputs', model.output_names, model.output_shape)")
    if draw.chance(0.3):  # compiled anew, in another form
        uses.append(
            _compilation(draw, kind, keys, known)[0] if draw.chance() else "model.compile('sgd')"
        )
    lines += draw.some(draw.shuffled(uses), 2, 5)
    return assemble(source, "\n".join(lines), "show_weights('weights', model)")
