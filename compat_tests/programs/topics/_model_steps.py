"""Overridden steps and `compile`s for the models of `models`.

A `Plan` says where the loss comes from and who keeps the metrics, so that the methods of a class
fit each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import pieces
from ..drawing import Draw

__all__ = ["Plan", "overrides", "plan_of"]

LOSSES = (
    "keras.losses.MeanSquaredError()", "keras.losses.Huber()", "keras.losses.MeanAbsoluteError()",
    "keras.losses.LogCosh()",
)  # fmt: skip


@dataclass
class Plan:
    """How a model is trained.

    Args:
        loss: "compiled", "own" (`self.loss_fn` of `__init__`), "given" (`self.loss_fn` of an own
            `compile`), "loss" (`self.loss`, set in `__init__`), "computed" (by `compute_loss`) or
            "added" (within `call`).
        trackers: Whether the model keeps its own metrics.
        init: Lines for `__init__`.
        methods: Methods for the class.
        compiled: The call of `compile`.
        weighted: Whether the steps take sample weights.
    """

    loss: str
    trackers: bool
    init: list[str]
    methods: list[str]
    compiled: str
    weighted: bool


def _indented(lines: list[str], head: str) -> str:
    return "\n".join([head, *(f"    {line}" for line in lines)])


def _loss_lines(draw: Draw, plan: Plan, training: bool) -> list[str]:
    """Lines that compute `loss` from `x`, `y`, `y_pred` and perhaps `sample_weight`."""
    weight = ", sample_weight=sample_weight" if plan.weighted else ""
    if plan.loss in ("own", "given"):
        lines = [f"loss = self.loss_fn(y, y_pred{weight})"]
        if draw.chance(0.3):
            lines.append("loss = loss + sum(self.losses)")
        return lines
    if plan.loss == "loss":
        return [f"loss = self.loss(y, y_pred{weight})"]
    options = [
        f"loss = self.compute_loss(x=x, y=y, y_pred=y_pred{weight})",
        f"loss = self.compute_loss(x, y, y_pred{', sample_weight' if plan.weighted else ', None'})",
    ]
    if plan.loss == "compiled":
        options.append(f"loss = self.compute_loss(y=y, y_pred=y_pred{weight})")
    return [draw.one(options)]


def _metric_lines(draw: Draw, plan: Plan) -> list[str]:
    """Lines that update the metrics and return the logs."""
    if plan.trackers:
        lines = ["self.loss_tracker.update_state(loss)", "self.error.update_state(y, y_pred)"]
        returned = [
            "return {'loss': self.loss_tracker.result(), 'error': self.error.result()}",
            "return {m.name: m.result() for m in [self.loss_tracker, self.error]}",
            "return {m.name: m.result() for m in self.metrics}",
            "return {'loss': self.loss_tracker.result(), 'last': loss}",
        ]
        return [*lines, draw.one(returned[:2] if plan.loss == "compiled" else returned)]
    if draw.chance(0.2):
        return [draw.one([
            "return {'loss': loss}",
            "return {'loss': float(loss)}",
            "return {'objective': loss, 'half': loss / 2}",
            "return {'loss': loss.detach(), 'lr': 0.5}",
            "return {'loss': ops.convert_to_numpy(loss.detach())}",
        ])]  # fmt: skip
    loop = [
        "for metric in self.metrics:",
        "    if metric.name == 'loss':",
        "        metric.update_state(loss)",
        "    else:",
        "        metric.update_state(y, y_pred)",
        "return {m.name: m.result() for m in self.metrics}",
    ]
    weight = ", sample_weight=sample_weight" if plan.weighted else ""
    short = [f"return self.compute_metrics(x, y, y_pred{weight})"]
    return loop if draw.chance() and plan.loss == "compiled" and not plan.weighted else short


def _unpacked(draw: Draw, plan: Plan) -> str:
    if plan.weighted or draw.chance(0.4):
        plan.weighted = True
        return "x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)"
    return "x, y = data"


def train_step(draw: Draw, plan: Plan) -> str:
    """A `train_step`."""
    if plan.loss in ("compiled", "computed", "added") and draw.chance(0.25):
        extended = [
            ["logs = super().train_step(data)", "return {**logs, 'more': logs['loss'] * 2}"],
            ["return super().train_step(data)"],
            ["logs = super().train_step(data)", "self.steps_made += 1", "return logs"],
            ["x, y = data", "return super().train_step((x * 0.5, y))"],
        ]
        lines = draw.one(extended)
        if any("steps_made" in line for line in lines):
            plan.init.append("self.steps_made = 0")
        return _indented(lines, "def train_step(self, data):")
    plan.weighted = False
    lines = [_unpacked(draw, plan)]
    forward = "y_pred = self(x, training=True)"
    backward = draw.one([
        ["self.zero_grad()", forward],
        [forward, "self.zero_grad()"],
    ])  # fmt: skip
    lines += [*backward, *_loss_lines(draw, plan, True)]
    variables = draw.one(["self.trainable_weights", "self.trainable_variables"])
    if draw.chance(0.75):
        lines += ["loss.backward()", f"trainable = [v for v in {variables}]"]
        lines.append(draw.one([
            "gradients = [v.value.grad for v in trainable]",
            "gradients = [v.value.grad for v in trainable]",
            "gradients = [None if v.value.grad is None else v.value.grad * 0.5 for v in trainable]",
        ]))  # fmt: skip
    else:
        lines += [f"trainable = {variables}"]
        lines.append(
            "gradients = torch.autograd.grad(loss, [v.value for v in trainable], allow_unused=True)"
        )
    lines.append("with torch.no_grad():")
    lines.append(draw.one([
        "    self.optimizer.apply(gradients, trainable)",
        "    self.optimizer.apply(gradients, trainable)",
        "    self.optimizer.apply_gradients(zip(gradients, trainable))",
    ]))  # fmt: skip
    return _indented([*lines, *_metric_lines(draw, plan)], "def train_step(self, data):")


def test_step(draw: Draw, plan: Plan) -> str:
    """A `test_step`."""
    if plan.loss in ("compiled", "computed", "added") and draw.chance(0.25):
        lines = draw.one([
            ["logs = super().test_step(data)", "return {**logs, 'more': logs['loss'] * 2}"],
            ["return super().test_step(data)"],
        ])  # fmt: skip
        return _indented(lines, "def test_step(self, data):")
    plan.weighted = False
    lines = [_unpacked(draw, plan), "y_pred = self(x, training=False)"]
    lines += [*_loss_lines(draw, plan, False), *_metric_lines(draw, plan)]
    return _indented(lines, "def test_step(self, data):")


def predict_step(draw: Draw) -> str:
    """A `predict_step`."""
    lines = draw.one([
        ["return super().predict_step(data) * 2"],
        ["x, _, _ = keras.utils.unpack_x_y_sample_weight(data)", "return self(x, training=False)"],
        ["y = super().predict_step(data)", "return {'out': y, 'double': y * 2}"],
        ["y = super().predict_step(data)", "return y, ops.sum(y, axis=-1)"],
        ["x, _, _ = keras.utils.unpack_x_y_sample_weight(data)", "return [x, self(x) + 1.0]"],
    ])  # fmt: skip
    return _indented(lines, "def predict_step(self, data):")


def compute_loss(draw: Draw, plan: Plan) -> str:
    """A `compute_loss`."""
    head = draw.one([
        "def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):",
        "def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):",
        "def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):",
        "def compute_loss(self, x, y, y_pred, sample_weight, training=True):",
    ])  # fmt: skip
    if plan.loss == "compiled":
        lines = draw.one([
            ["loss = super().compute_loss(x, y, y_pred, sample_weight)", "return loss + 1.0"],
            ["return super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)"],
            [
                "loss = super().compute_loss(x, y, y_pred, sample_weight)",
                "return loss + 0.1 * ops.mean(ops.square(y_pred))",
            ],
            ["return super().compute_loss(x, ops.clip(y, -1, 1), y_pred, sample_weight)"],
        ])  # fmt: skip
    else:
        lines = draw.one([
            ["return ops.mean(ops.square(y - y_pred))"],
            ["loss = ops.mean(ops.abs(y - y_pred))", "return loss + sum(self.losses)"],
            ["return keras.losses.mean_squared_error(y, y_pred).mean()"],
            ["return ops.mean((y - y_pred) ** 2) + ops.mean(x ** 2)"],
        ])  # fmt: skip
    if "training=True" in head and draw.chance(0.3):
        lines = ["if training:", "    self.seen_training = True", *lines]
        plan.init.append("self.seen_training = False")
    return _indented(lines, head)


def compute_metrics(draw: Draw, plan: Plan) -> str:
    """A `compute_metrics`."""
    head = "def compute_metrics(self, x, y, y_pred, sample_weight=None):"
    tracked = draw.chance(0.6)
    lines = ["results = super().compute_metrics(x, y, y_pred, sample_weight)"]
    if tracked:
        name = draw.name("measure")
        plan.init.append(f"self.{name} = keras.metrics.Mean(name={name!r})")
        lines = [f"self.{name}.update_state(ops.abs(y_pred))", *lines]
        if draw.chance():
            lines.append(f"results['{name}'] = self.{name}.result()")
    else:
        lines.append("results['largest'] = ops.max(y_pred)")
    return _indented([*lines, "return results"], head)


def made_function(draw: Draw, plan: Plan, what: str) -> str:
    """A `make_train_function` or one of its kin."""
    plan.init.append(f"self.{what}_calls = 0")
    if draw.chance(0.6):
        lines = [
            f"if self.{what}_function is not None and not force:",
            f"    return self.{what}_function",
            f"super().make_{what}_function(force)",
            f"inner = self.{what}_function",
            "def counted(data):",
            f"    self.{what}_calls += 1",
            "    return inner(data)",
            f"self.{what}_function = counted",
            f"return self.{what}_function",
        ]
    else:
        guard = "with torch.no_grad():" if what != "train" else "if True:"
        lines = [
            "def one_step(data):",
            f"    self.{what}_calls += 1",
            f"    {guard}",
            f"        return self.{what}_step(data[0])",
            f"self.{what}_function = one_step",
        ]
    return _indented(lines, f"def make_{what}_function(self, force=False):")


def metrics_property(draw: Draw, plan: Plan) -> str:
    """A `metrics` property."""
    if plan.trackers:
        lines = draw.one([
            ["return [self.loss_tracker, self.error]"],
            ["return [self.error]"],
            ["return [self.loss_tracker]"],
        ])  # fmt: skip
    else:
        plan.init.append("self.seen = keras.metrics.Sum(name='seen')")
        lines = draw.one([
            ["return super().metrics"],
            ["return [m for m in super().metrics if m.name != 'seen'] + [self.seen]"],
            ["return super().metrics[:1]"],
        ])  # fmt: skip
    return "@property\n" + _indented(lines, "def metrics(self):")


def _compilation(draw: Draw, plan: Plan) -> str:
    """The call of `compile`; an own `compile` joins the methods."""
    optimizer = pieces.optimizer(draw)
    loss = draw.one(["'mse'", "'mae'", "keras.losses.Huber()"])
    metrics = draw.one([
        "", "", ", metrics=['mae']", ", metrics=[keras.metrics.MeanSquaredError(name='squared')]",
        ", weighted_metrics=['mae']", ", metrics=['mae', 'mse']",
        ", metrics=[keras.metrics.RootMeanSquaredError()], weighted_metrics=[]",
    ])  # fmt: skip
    if plan.loss == "given":
        plan.methods.append(draw.one([
            "def compile(self, optimizer, loss_fn, **kwargs):\n"
            "    super().compile(**kwargs)\n"
            "    self.optimizer = optimizer\n"
            "    self.loss_fn = loss_fn",
            "def compile(self, optimizer, loss_fn, alpha=0.5):\n"
            "    super().compile(optimizer=optimizer)\n"
            "    self.loss_fn = loss_fn\n"
            "    self.alpha = alpha",
            "def compile(self, *args, loss_fn=None, **kwargs):\n"
            "    self.loss_fn = loss_fn\n"
            "    super().compile(*args, **kwargs)",
        ]))  # fmt: skip
        optimizer = optimizer if optimizer != "'sgd'" else "keras.optimizers.SGD(0.1)"
        return f"model.compile(optimizer={optimizer}, loss_fn={draw.one(LOSSES)})"
    if plan.loss != "compiled":
        none = draw.one(["", "", ", loss=None"])
        metrics = metrics if plan.loss in ("computed", "added") else ""
        return f"model.compile(optimizer={optimizer}{none}{metrics})"
    if draw.chance(0.15):
        plan.methods.append(
            "def compile(self, optimizer='sgd', loss='mse', alpha=0.5, **kwargs):\n"
            "    super().compile(optimizer=optimizer, loss=loss, **kwargs)\n"
            "    self.alpha = alpha"
        )
    eager = draw.one(["", "", ", run_eagerly=True", ", jit_compile=False"])
    return f"model.compile({optimizer}, {loss}{metrics}{eager})"


def plan_of(draw: Draw, sources: tuple[str, ...]) -> Plan:
    """Where the loss comes from, of these sources, and the call of `compile`."""
    loss = draw.one(sources)
    trackers = draw.chance(0.4)
    plan = Plan(loss, trackers, [], [], "", False)
    made = draw.one(LOSSES)
    if loss in ("own", "loss"):
        attribute = "loss_fn" if loss == "own" else "loss"
        plan.init.append(f"self.{attribute} = {made}")
    if trackers:
        plan.init.append("self.loss_tracker = keras.metrics.Mean(name='loss')")
        plan.init.append("self.error = keras.metrics.MeanAbsoluteError(name='error')")
    plan.compiled = _compilation(draw, plan)
    return plan


def overrides(draw: Draw, plan: Plan) -> None:
    """Add methods that override parts of training, all that the loss needs among them."""
    own = plan.loss in ("own", "given", "loss")
    if own or plan.trackers or draw.chance(0.5):
        plan.methods.append(train_step(draw, plan))
    if draw.chance(0.85) if own or plan.trackers else draw.chance(0.35):
        plan.methods.append(test_step(draw, plan))
    if draw.chance(0.25):
        plan.methods.append(predict_step(draw))
    if plan.loss == "computed" or (plan.loss == "compiled" and draw.chance(0.35)):
        plan.methods.append(compute_loss(draw, plan))
    if draw.chance(0.2):
        plan.methods.append(compute_metrics(draw, plan))
    if draw.chance(0.5) if plan.trackers else draw.chance(0.15):
        plan.methods.append(metrics_property(draw, plan))
    for what in ("train", "test", "predict"):
        if draw.chance(0.1):
            plan.methods.append(made_function(draw, plan, what))
