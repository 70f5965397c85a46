"""What `compile` was given, bound to the outputs of a model: `CompileLoss` and `CompileMetrics`.

Losses, metrics and weights may be one object, a list in the order of the outputs, a dict by output
name, or a structure like that of the outputs. All of that is settled at the first batch: afterwards
each is a flat list beside the flat outputs, and a model with one output and one loss calls that
loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ..losses import Loss
from ..losses import get as get_loss
from ..losses import resolve as resolve_loss
from ..metrics import Mean, Metric
from ..metrics import get as get_metric
from ..metrics import resolve as resolve_metric
from ..naming import explain, nearest
from ..tree import flatten, is_nested, lists_to_tuples, map_structure, map_structure_up_to

__all__ = ["CompileLoss", "CompileMetrics"]

Tensor = torch.Tensor


class Outputs:
    """The structure of a model's outputs.

    Args:
        y_pred: The outputs.
        names: The names of the outputs, in the order of `tree.flatten(y_pred)`.
    """

    def __init__(self, y_pred: Any, names: Sequence[str] | None) -> None:
        self.structure = map_structure(lambda _: None, y_pred)
        self.nested = is_nested(y_pred)
        self.count = len(flatten(y_pred)) if self.nested else 1
        self.deep = isinstance(y_pred, (list, tuple)) and any(map(is_nested, y_pred))
        self.names = list(names) if names and len(names) == self.count else None
        self.keys: list[str] | None = None
        if isinstance(y_pred, Mapping) and len(y_pred) == self.count:
            self.keys = sorted(y_pred)

    def labels(self) -> list[str | None]:
        """Return what each output is called in logs."""
        return list(self.keys or self.names or [None] * self.count)

    def spread(self, spec: Any, argument: str, repeat: bool) -> list[Any]:
        """Lay a specification out beside the outputs.

        Args:
            spec: One entry, a list, a dict, or a structure like that of the outputs.
            argument: The argument of `compile` it came from, for messages.
            repeat: Whether one entry holds for every output.

        Raises:
            ValueError: It names an output that does not exist, or has another number of entries.
        """
        if spec is None:
            return [None] * self.count
        if isinstance(spec, Mapping):
            known = self.keys if self.keys and set(spec) <= set(self.keys) else self.names
            known = known or self.keys
            if known is None and self.count == 1:
                return [next(iter(spec.values()))]
            unknown = [key for key in spec if key not in (known or ())]
            if not unknown:
                return [spec.get(key) for key in known]
            raise ValueError(
                explain(
                    f"`{argument}` names an output that the model does not have: {unknown[0]!r}."
                    f" {nearest(unknown[0], known or ())}".rstrip(),
                    given=list(spec),
                    expected=known,
                    fix="use the names of the output layers, or the keys of the dict that the model"
                    " returns.",
                )
            )
        if isinstance(spec, (list, tuple)):
            flat = None
            if self.deep or len(spec) != self.count:
                flat = self._flatten_like_outputs(spec)
            if flat is not None:
                return flat
            if len(spec) == self.count:
                return list(spec)
        elif repeat:
            return [spec] * self.count
        raise ValueError(
            explain(
                f"`{argument}` does not match the outputs of the model.",
                given=spec,
                outputs=self.names or f"{self.count} outputs",
                fix="pass one entry per output, in a list or in a dict by output name.",
            )
        )

    def _flatten_like_outputs(self, spec: Any) -> list[Any] | None:
        try:
            parts: list[Any] = []
            map_structure_up_to(
                lists_to_tuples(self.structure),
                lambda _, part: parts.append(part),
                lists_to_tuples(self.structure),
                lists_to_tuples(spec),
            )
            return parts
        except (ValueError, TypeError, KeyError, IndexError):
            return None

    def flatten(self, values: Any) -> list[Any]:
        """Flatten targets or weights into the order of the outputs."""
        if isinstance(values, Mapping) and len(values) >= 1:
            for known in (self.keys, self.names):
                if known and set(values) <= set(known):
                    return [values.get(key) for key in known]
            known = self.keys or self.names
            unknown = [key for key in values if key not in (known or values)]
            if unknown:
                raise ValueError(
                    explain(
                        f"The targets or sample weights name an output that the model does not"
                        f" have: {unknown[0]!r}. {nearest(unknown[0], known)}".rstrip(),
                        given=list(values),
                        expected=known,
                        fix="use the names of the outputs as keys.",
                    )
                )
        return flatten(values) if is_nested(values) else [values]


class _Entry(NamedTuple):
    index: int
    loss: Any
    weight: float | None
    name: str


class CompileLoss(Loss):
    """The loss of a model: the weighted sum of the losses of its outputs.

    Args:
        loss: The `loss` argument of `compile`.
        loss_weights: The argument of that name.
        output_names: The names of the outputs, where the model has such.

    Raises:
        ValueError: An argument is of no type that is known, or does not fit the outputs.
    """

    def __init__(
        self,
        loss: Any,
        loss_weights: Any = None,
        reduction: str = "sum_over_batch_size",
        output_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name="compile_loss", reduction=reduction)
        if loss_weights is not None and not isinstance(
            loss_weights, (list, tuple, Mapping, float, int)
        ):
            raise ValueError(
                explain(
                    "`loss_weights` must be a number, or a list or dict of them.",
                    given=f"{loss_weights!r} (of type {type(loss_weights).__name__})",
                )
            )
        for item in flatten(loss):
            known = isinstance(item, str) and item.lower() in ("crossentropy", "ce")
            if not known and not isinstance(item, Mapping) and not callable(item):
                get_loss(item)  # an unknown name is an error now, not in the first step
        self._user_loss = loss
        self._user_loss_weights = loss_weights
        self.output_names = output_names
        self.metrics: list[Any] = []
        self.built = False
        self._entries: list[_Entry] = []
        self._single: _Entry | None = None

    @property
    def variables(self) -> list[Any]:
        """The state of the trackers of the outputs' losses."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Bind losses and weights to the outputs."""
        self._outputs = outputs = Outputs(y_pred, self.output_names)
        specs = outputs.spread(self._user_loss, "loss", repeat=True)
        weights = self._spread_weights(specs)
        flat_pred = flatten(y_pred)
        flat_true = self._flatten_targets(y_true, specs)
        labels = outputs.labels()
        for i, (spec, weight) in enumerate(zip(specs, weights, strict=True)):
            for part in spec if isinstance(spec, (list, tuple)) else (spec,):
                if part is None:
                    continue
                resolved = resolve_loss(part, _shape(flat_true[i]), _shape(flat_pred[i]))
                label = resolved.name if labels[i] is None else labels[i]
                self._entries.append(_Entry(i, resolved, weight, label))
        if len(self._entries) > 1:
            self.metrics = [Mean(name=f"{entry.name}_loss") for entry in self._entries]
        elif self._entries and not outputs.nested:
            self._single = self._entries[0]
        self.built = True

    def _spread_weights(self, specs: list[Any]) -> list[float | None]:
        weights = self._user_loss_weights
        if isinstance(weights, (list, tuple)) and len(weights) != len(specs):
            present = [i for i, spec in enumerate(specs) if spec is not None]
            if len(weights) != len(present):
                raise ValueError(
                    f"`loss_weights` must match the number of losses, got {len(present)} losses and"
                    f" {len(weights)} weights."
                )
            spread: list[float | None] = [None] * len(specs)
            for i, weight in zip(present, weights, strict=True):
                spread[i] = weight
            return spread
        return self._outputs.spread(weights, "loss_weights", repeat=True)

    def _flatten_targets(self, y_true: Any, specs: Iterable[Any] | None = None) -> list[Any]:
        """Flatten targets; where only outputs with a loss have some, leave the others out."""
        flat = self._outputs.flatten(y_true)
        count = self._outputs.count
        if len(flat) == count:
            return flat
        if specs is None:
            wanted = sorted({entry.index for entry in self._entries})
        else:
            wanted = [i for i, spec in enumerate(specs) if spec is not None]
        if len(flat) != len(wanted):
            raise ValueError(
                explain(
                    "y_true and y_pred have different structures.",
                    y_true=map_structure(lambda _: "*", y_true),
                    y_pred=map_structure(lambda _: "*", self._outputs.structure),
                    fix="pass one target per output that has a loss, in a list or in a dict by"
                    " output name.",
                )
            )
        spread: list[Any] = [None] * count
        for i, target in zip(wanted, flat, strict=True):
            spread[i] = target
        return spread

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        if y_true is None or y_pred is None:
            raise _missing(y_true, y_pred)
        single = self._single
        if single is not None and not isinstance(y_true, (list, tuple, dict)):
            value = single.loss(y_true, y_pred, sample_weight)
            if value.dim():
                value = value.mean()
            return value if single.weight is None else value * single.weight
        return self.call(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        """Compute the total loss, and note the loss of each output."""
        if not self.built:
            self.build(y_true, y_pred)
        flat_pred = flatten(y_pred)
        flat_true = self._flatten_targets(y_true)
        if is_nested(sample_weight):
            weights = self._outputs.flatten(sample_weight)
        else:
            weights = [sample_weight] * len(flat_pred)
        total = None
        for position, (index, loss, weight, name) in enumerate(self._entries):
            if flat_true[index] is None:
                raise _missing(None, flat_pred[index], f" for the output '{name}'")
            value = loss(flat_true[index], flat_pred[index], weights[index])
            if value.dim():
                value = value.mean()
            if self.metrics:
                batch_size = flat_pred[index].shape[0]
                self.metrics[position].update_state(value.detach(), sample_weight=batch_size)
            if weight is not None:
                value = value * weight
            total = value if total is None else total + value
        return total


def _missing(y_true: Any, y_pred: Any, output: str = "") -> ValueError:
    """Say that there are no targets, or no predictions, to compute a loss of."""
    if y_pred is None:
        return ValueError(
            explain(
                "The model returned None, so there is nothing to compute a loss of.",
                fix="return the outputs from the model's `call` method.",
            )
        )
    return ValueError(
        explain(
            f"The model is compiled with a loss, but there are no targets `y`{output}.",
            y_true=y_true,
            fix="pass `y`, or data that yields `(x, y)`; or compile the model without `loss` if"
            " its layers add their own by `add_loss`.",
        )
    )


class CompileMetrics(Metric):
    """The metrics of a model, by output.

    Args:
        metrics: The `metrics` argument of `compile`.
        weighted_metrics: The argument of that name: these see the sample weights.
        output_names: The names of the outputs, where the model has such.

    Raises:
        ValueError: An argument is of no type that is known.
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        name: str = "compile_metrics",
        output_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name=name)
        for argument, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, (list, tuple, Mapping)):
                raise ValueError(
                    explain(
                        f"`{argument}` must be a list, tuple or dict.",
                        given=f"{value!r} (of type {type(value).__name__})",
                        fix=f"write {argument}=[{value!r}].",
                    )
                )
            for item in flatten(value or []):
                if isinstance(item, str) and item.lower() not in _RESOLVED_BY_SHAPE:
                    _check_name(item)
        self._user_metrics = metrics
        self._user_weighted_metrics = weighted_metrics
        self.output_names = output_names
        self.built = False
        # (index of the output, name in the logs, the metric, whether it is weighted)
        self._bound: list[tuple[int, str, Any, bool]] = []

    @property
    def metrics(self) -> list[Any]:
        """The metrics, in the order of the logs."""
        return [metric for _, _, metric, _ in self._bound]

    @property
    def variables(self) -> list[Any]:
        """The state of all metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Bind the metrics to the outputs; "accuracy" becomes the one that fits the shapes."""
        self._outputs = outputs = Outputs(y_pred, self.output_names)
        flat_true, flat_pred = outputs.flatten(y_true), flatten(y_pred)
        labels = outputs.labels() if outputs.count > 1 else [None]
        taken: dict[str, int] = {}
        for spec, argument, weighted in (
            (self._user_metrics, "metrics", False),
            (self._user_weighted_metrics, "weighted_metrics", True),
        ):
            if not spec:
                continue
            per_output = (
                [_flat(spec)] if outputs.count == 1 else outputs.spread(spec, argument, False)
            )
            for i, entries in enumerate(per_output):
                for entry in _flat(entries):
                    if entry is None:
                        continue
                    metric = resolve_metric(entry, _shape(flat_true[i]), _shape(flat_pred[i]))
                    name = self._name(metric.name, labels[i], weighted, taken)
                    self._bound.append((i, name, metric, weighted))
        self.built = True

    @staticmethod
    def _name(name: str, label: str | None, weighted: bool, taken: dict[str, int]) -> str:
        """Return a name for the logs that no other metric has."""
        full = f"{label}_{name}" if label else name
        if full in taken and weighted:
            full = f"{label}_weighted_{name}" if label else f"weighted_{name}"
        count = taken.get(full, 0)
        taken[full] = count + 1
        return f"{full}_{count}" if count else full

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch to all metrics."""
        if not self.built:
            self.build(y_true, y_pred)
        if isinstance(y_pred, Tensor) and not isinstance(y_true, (list, tuple, dict)):
            for _, _, metric, weighted in self._bound:
                if weighted and sample_weight is not None:
                    metric.update_state(y_true, y_pred, sample_weight)
                else:
                    metric.update_state(y_true, y_pred)
            return
        flat_true, flat_pred = self._outputs.flatten(y_true), flatten(y_pred)
        weights = [None] * len(flat_pred)
        if sample_weight is not None:
            weights = self._outputs.flatten(sample_weight)
            if len(weights) < len(flat_pred):
                weights = [weights[0]] * len(flat_pred)
        for i, _, metric, weighted in self._bound:
            metric.update_state(flat_true[i], flat_pred[i], weights[i] if weighted else None)

    def reset_state(self) -> None:
        """Reset all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """Return the values of all metrics by their names in the logs."""
        if not self.built:
            raise ValueError("Cannot get result() since the metric has not yet been built.")
        return {name: metric.result() for _, name, metric, _ in self._bound}

    def get_config(self) -> dict[str, Any]:
        """Not available: the model's `get_compile_config` describes its metrics."""
        raise NotImplementedError("Use the model's `get_compile_config()`.")


_RESOLVED_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def _check_name(name: str) -> None:
    get_metric(name)


def _flat(spec: Any) -> list[Any]:
    return flatten(spec) if is_nested(spec) else [spec]


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))
