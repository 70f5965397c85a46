"""What `compile` was given, bound to the outputs of a model: `CompileLoss` and `CompileMetrics`.

Losses, metrics and weights may be one object, a list in the order of the outputs, a dict by output
name, or a structure like that of the outputs. All of that is settled at the first batch: afterwards
each is a flat list beside the flat outputs, and a model with one output and one loss calls that
loss.
"""

from __future__ import annotations

import collections
import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..graph.context import CONTEXT
from ..graph.infer import real_mode
from ..losses import Loss
from ..losses import get as get_loss
from ..losses import resolve as resolve_loss
from ..losses.loss import LossFunctionWrapper
from ..metrics import Mean, MeanMetricWrapper, Metric
from ..metrics import get as get_metric
from ..metrics import resolve as resolve_metric
from ..naming import explain, nearest
from ..tree import (
    flatten,
    flatten_with_path,
    is_nested,
    lists_to_tuples,
    map_structure,
    map_structure_up_to,
    pack_sequence_as,
)
from ..variables import READING

__all__ = ["CompileLoss", "CompileMetrics"]

Tensor = torch.Tensor

# Numbers in the outputs of a batch up to which it waits for others: it shall not take much memory.
GATHERED_MOST = 1 << 14


class OutputNameError(ValueError, KeyError):
    """An argument of `compile`, or the targets, name an output that there is not."""

    __str__ = ValueError.__str__  # that of `KeyError` is the `repr` of the message


class Part(NamedTuple):
    """A part of the outputs: one of them, or a structure of several.

    Args:
        structure: Its structure, with `None` for each output.
        start: The place of its first output among all, laid flat.
        stop: The place behind its last one.
        path: The keys and positions that lead to it.
    """

    structure: Any
    start: int
    stop: int
    path: tuple[Any, ...]

    @property
    def is_leaf(self) -> bool:
        """Whether it is one output."""
        return self.structure is None

    def children(self) -> dict[Any, Part]:
        """Return the parts it has, by key or position, in the order they are laid flat."""
        sizes = collections.Counter(path[0] for path, _ in flatten_with_path(self.structure))
        children, start = {}, self.start
        for key, size in sizes.items():
            children[key] = Part(self.structure[key], start, start + size, (*self.path, key))
            start += size
        return children

    def of(self, flat: list[Any]) -> Any:
        """Take this part out of values for all outputs, laid flat."""
        if self.structure is None:
            return flat[self.start]
        return pack_sequence_as(self.structure, flat[self.start : self.stop])


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
        self.names = list(names) if names and len(names) == self.count else None
        self.whole = Part(self.structure, 0, self.count, ())
        children = self.whole.children() if self.nested else {}
        self.is_flat = self.nested and all(part.is_leaf for part in children.values())
        self.is_dict = isinstance(y_pred, Mapping)
        self._sizes = {key: part.stop - part.start for key, part in children.items()}

    @property
    def keys(self) -> list[Any] | None:
        """The keys of the outputs, if they are a dict without dicts or lists in it."""
        return list(self._sizes) if self.is_dict and self.is_flat else None

    def labels(self) -> list[str | None]:
        """Return what each output is called in logs."""
        return list(self.keys or self.names or [None] * self.count)

    def order(self) -> list[int]:
        """Return the outputs in the order of the logs: that of the model's names, if it can be."""
        keys = self.keys
        if keys and self.names and set(keys) == set(self.names):
            return [keys.index(name) for name in self.names]
        return list(range(self.count))

    def flatten(self, values: Any) -> list[Any]:
        """Lay targets or weights flat in the order of the outputs, with `None` for what is absent.

        Raises:
            OutputNameError: A key is none of an output.
        """
        if not is_nested(values):
            return [values]
        if not isinstance(values, Mapping):
            return flatten(values)
        if self.is_dict and set(values) <= set(self._sizes):
            if self.is_flat:
                return [values.get(key) for key in self._sizes]
            return [
                leaf
                for key, size in self._sizes.items()
                for leaf in (flatten(values[key]) if key in values else [None] * size)
            ]
        if self.names and set(values) <= set(self.names):
            return [values.get(name) for name in self.names]
        known = list(self._sizes) if self.is_dict else self.names
        unknown = [key for key in values if key not in (known or values)]
        if unknown:
            raise OutputNameError(
                explain(
                    f"The targets or sample weights name an output that the model does not have:"
                    f" {unknown[0]!r}. {nearest(unknown[0], known)}".rstrip(),
                    given=list(values),
                    expected=known,
                    fix="use the names of the outputs as keys.",
                )
            )
        return flatten(values)


class _Weighted:
    """A loss and its weight: a leaf of the structure of losses."""

    def __init__(self, loss: Any, weight: Any) -> None:
        self.loss, self.weight = loss, weight


class _Entry(NamedTuple):
    part: Part
    loss: Any
    weight: Any
    name: str


class CompileLoss(Loss):
    """The loss of a model: the weighted sum of the losses of its outputs.

    A loss may be given for each output or for a structure of outputs, which it is called with then;
    a list for one output holds several. One loss alone is that of every output.

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
        # The loss that is all there is: of one output, with no weight; `None` if it is not so.
        self.alone: Any = None

    @property
    def variables(self) -> list[Any]:
        """The state of the trackers of the outputs' losses."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Bind losses and weights to the outputs."""
        self._outputs = outputs = Outputs(y_pred, self.output_names)
        weighted = _weighted(*self._in_order())
        bound = list(_bound(weighted, outputs.whole, outputs.labels()))
        flat_true = self._flatten_targets(y_true, [part for _, part in bound])
        flat_pred = flatten(y_pred)
        self._entries = []
        for item, part in bound:
            shapes = _shape(part.of(flat_true)), _shape(part.of(flat_pred))
            resolved = resolve_loss(item.loss, *shapes)
            if type(resolved) is LossFunctionWrapper:
                _check_takes_both("loss", resolved.fn, resolved._fn_kwargs)
            weight = item.weight
            if isinstance(weight, np.ndarray):
                weight = torch.as_tensor(weight)
            label = _label(part, outputs.names) or resolved.name
            self._entries.append(_Entry(part, resolved, weight, label))
        several = len(self._entries) > 1
        with real_mode():  # it may be built while shapes are inferred
            self.metrics = [Mean(name=f"{e.name}_loss") for e in self._entries] if several else []
        self._single = None if several or outputs.nested or not bound else self._entries[0]
        weighted_one = self._single is None or self._single.weight is not None
        self.alone = None if weighted_one else self._single.loss
        self.built = True

    def _in_order(self) -> tuple[Any, Any]:
        """Return losses and weights; those by the names of outputs that are no dict in a list."""
        loss, weights, outputs = self._user_loss, self._user_loss_weights, self._outputs
        names = outputs.names
        if not outputs.is_dict:
            if names is None and outputs.count == 1 and isinstance(loss, Mapping):
                names = list(loss)[:1]
            loss = _by_name("loss", loss, names, outputs)
            weights = _by_name("loss_weights", weights, names, outputs)
        elif isinstance(weights, Mapping):
            _check_names("loss_weights", weights, outputs.keys or list(outputs.structure))
        if not is_nested(loss):
            loss = map_structure(lambda _: loss, outputs.structure)
        return loss, weights

    def _flatten_targets(self, y_true: Any, parts: Iterable[Part] | None = None) -> list[Any]:
        """Flatten targets; where only outputs with a loss have some, leave the others out."""
        flat = self._outputs.flatten(y_true)
        count = self._outputs.count
        if len(flat) == count:
            return flat
        parts = [entry.part for entry in self._entries] if parts is None else parts
        wanted = sorted({i for part in parts for i in range(part.start, part.stop)})
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

    def call(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, shares: Any = None
    ) -> Tensor | None:
        """Compute the total loss, and note the loss of each output.

        Args:
            y_true, y_pred, sample_weight: As of a `Loss`.
            shares: Where these are part of a batch: says what part of the total the losses are; see
                `training.replicated`.
        """
        if y_true is None or y_pred is None:
            raise _missing(y_true, y_pred)
        if not self.built:
            self.build(y_true, y_pred)
        flat_pred = flatten(y_pred)
        if isinstance(y_pred, Mapping) and not self._outputs.is_dict:
            flat_true = flatten(y_true)  # both are dicts where lists came before
        else:
            flat_true = self._flatten_targets(y_true)
        weights = self._outputs.flatten(sample_weight) if is_nested(sample_weight) else None
        total = None
        for position, (part, loss, weight, name) in enumerate(self._entries):
            target = part.of(flat_true)
            if target is None:
                raise _missing(None, flat_pred[part.start], f" for the output '{name}'")
            own_weights = sample_weight if weights is None else part.of(weights)
            value = loss(target, part.of(flat_pred), own_weights)
            if value.dim():
                value = value.mean()
            if shares is not None:
                value = value * shares.of(loss, part.of(flat_pred), own_weights)
            if self.metrics:
                batch_size = flat_pred[part.start].shape[0]
                shown = value.detach() if shares is None else value.detach() / shares.fraction
                self.metrics[position].update_state(shown, sample_weight=batch_size)
            if weight is not None:
                value = value * weight
            total = value if total is None else total + value
        return total


def _by_name(argument: str, spec: Any, names: list[str] | None, outputs: Outputs) -> Any:
    """Give a dict by the names of outputs the structure of the outputs."""
    if not isinstance(spec, Mapping):
        return spec
    _check_names(argument, spec, names or [])
    values = [spec.get(name) for name in names or ()]
    return pack_sequence_as(outputs.structure, values) if outputs.nested else values[0]


def _check_names(argument: str, spec: Mapping[str, Any], names: list[Any]) -> None:
    """Refuse a dict with a key that names no output."""
    unknown = [key for key in spec if key not in names]
    if unknown:
        raise OutputNameError(
            explain(
                f"`{argument}` names an output that the model does not have: {unknown[0]!r}."
                f" {nearest(unknown[0], names)}".rstrip()
                + f" Expected keys: {names}",
                given=list(spec),
                fix="use the names of the output layers, or the keys of the dict that the model"
                " returns.",
            )
        )


def _weighted(loss: Any, weights: Any) -> Any:
    """Put each loss together with its weight; weights may be in a flat list."""
    if loss is None:
        return None
    if not is_nested(loss):
        return _weighted([loss], weights)[0] if is_nested(weights) else _Weighted(loss, weights)
    if not is_nested(weights):
        return map_structure(lambda item: _weighted(item, weights), loss)
    if isinstance(loss, Mapping) and isinstance(weights, Mapping):
        return {key: _weighted(item, weights.get(key)) for key, item in loss.items()}
    flat_loss, flat_weights = flatten(loss), flatten(weights)
    present = [i for i, item in enumerate(flat_loss) if item is not None]
    if len(flat_weights) == len(flat_loss):
        present = list(range(len(flat_loss)))
    if len(flat_weights) != len(present):
        raise ValueError(
            f"`loss_weights` must match the number of losses, got {len(present)} losses and"
            f" {len(flat_weights)} weights."
        )
    for i, weight in zip(present, flat_weights, strict=True):
        flat_loss[i] = _weighted(flat_loss[i], weight)
    return pack_sequence_as(loss, flat_loss)


def _bound(spec: Any, part: Part, labels: list[Any]) -> Iterator[tuple[_Weighted, Part]]:
    """Yield each loss with the part of the outputs that it is for; `labels` are for messages.

    Raises:
        OutputNameError: There is a loss for a part that the outputs do not have.
    """
    if spec is None:
        return
    if isinstance(spec, _Weighted):
        yield spec, part
        return
    if isinstance(spec, (list, tuple)):
        if len(spec) == part.stop - part.start and not any(map(is_nested, spec)):
            if part.is_leaf:
                yield from _bound(spec[0], part, labels)
                return
            spec = pack_sequence_as(part.structure, list(spec))
        elif not isinstance(part.structure, type(spec)):  # several losses of this part
            for item in spec:
                yield from _bound(item, part, labels)
            return
    children = {} if part.is_leaf else part.children()
    items = dict(spec) if isinstance(spec, Mapping) else dict(enumerate(spec))
    alike = isinstance(spec, Mapping) == isinstance(part.structure, Mapping)
    for key, item in items.items():
        if item is not None and (not alike or key not in children):
            path = "/".join(map(str, (*part.path, key)))
            raise OutputNameError(
                explain(
                    f"The path '{path}' in the `loss` argument, can't be found in"
                    f"{' either' if alike else ''} the model's output (`y_pred`)"
                    f"{' or in the labels (`y_true`)' if alike else ''}.",
                    given=list(items),
                    expected=list(children) or "a loss for one output",
                    outputs=labels,
                    fix="give losses the structure of the outputs, and use the keys of the dict"
                    " that the model returns.",
                )
            )
        if item is not None:
            yield from _bound(item, children[key], labels)


def _label(part: Part, names: list[str] | None) -> str:
    """Return what a part is called in logs; the empty string if it has no name."""
    path, own = part.path, None if names is None else names[part.start : part.stop]
    if part.is_leaf and (not path or isinstance(path[-1], int)):
        if own is None:
            return ""
        path = (*path[:-1], own[0])
    if path:
        return "/".join(map(str, path))
    keys = list(part.structure) if isinstance(part.structure, Mapping) else own
    return "_".join(map(str, keys or ()))


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
        # Whether all of them count hits, and the batches that wait to be counted.
        self._adds_matches = False
        self._gathered: list[tuple[Tensor, Tensor]] | None = None

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
        self._bound = []
        for spec, argument, weighted in (
            (self._user_metrics, "metrics", False),
            (self._user_weighted_metrics, "weighted_metrics", True),
        ):
            if not spec:
                continue
            per_output = (
                [_flat(spec)] if outputs.count == 1 else _per_output(spec, argument, outputs)
            )
            for i in outputs.order():
                for entry in _flat(per_output[i]):
                    if entry is None:
                        continue
                    with real_mode():
                        metric = resolve_metric(entry, _shape(flat_true[i]), _shape(flat_pred[i]))
                    if type(metric) is MeanMetricWrapper:
                        _check_takes_both("metric", metric._fn, metric._fn_kwargs)
                    name = self._name(metric.name, labels[i], weighted, taken)
                    self._bound.append((i, name, metric, weighted))
        counts = [getattr(metric, "adds_matches", False) for metric in self.metrics]
        self._adds_matches = bool(counts) and all(counts)
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
        self.add(y_true, y_pred, sample_weight)

    def _meet_shapes(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if not self.built:
            self.build(y_true, y_pred)

    def add(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """As `update_state`, which guards what each metric's own guards as well; for steps."""
        if not self.built:
            self.build(y_true, y_pred)
        if (
            self._adds_matches
            and sample_weight is None
            and type(y_true) is Tensor
            and type(y_pred) is Tensor
            and getattr(y_pred, "_keras_mask", None) is None
            and READING.scope is None
            and not CONTEXT.meta
        ):
            if self._gathered is not None and y_pred.numel() <= GATHERED_MOST:
                self._gathered.append((y_true, y_pred.detach()))
            else:
                self._add_matches(y_true, y_pred)
            return
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

    def _add_matches(self, y_true: Tensor, y_pred: Tensor) -> None:
        with_grad = torch.is_grad_enabled()
        if with_grad:
            torch._C._set_grad_enabled(False)
        try:
            for _, _, metric, _ in self._bound:
                metric.add_matches(y_true, y_pred)
        finally:
            if with_grad:
                torch._C._set_grad_enabled(True)

    def gather(self) -> None:
        """From here on batches whose hits are counted may wait for each other.

        Whoever calls it sees to it that nobody asks for results before `count`.
        """
        self._gathered = [] if self._adds_matches else None

    def count(self) -> None:
        """Count the hits of the batches that wait; whole numbers, so all at once is the same."""
        pairs, self._gathered = self._gathered, None
        if not pairs:
            return
        joined = _joined(pairs) if len(pairs) > 1 else None
        with torch.no_grad():
            for _, _, metric, _ in self._bound:
                if joined is None or not metric.add_hits(*joined):
                    for y_true, y_pred in pairs:
                        metric.add_matches(y_true, y_pred)

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


def _check_takes_both(kind: str, function: Any, options: Mapping[str, Any]) -> None:
    """Refuse a user's function that cannot be called with targets and predictions.

    The first step would fail in it too, but only after the layers have moved their statistics.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:  # it tells no signature
        return
    try:
        signature.bind(None, None, **options)
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(
            explain(
                f"The {kind} '{name}' cannot be called: {error}.",
                signature=f"{name}{signature}",
                expected=f"{name}(y_true, y_pred)",
            )
        ) from error


def _joined(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor] | None:
    """Return batches of vectors, or of numbers, as one; `None` where they do not go together."""
    y_true, y_pred = pairs[0]
    shapes = y_true.shape[1:], y_pred.shape[1:]
    if len(shapes[0]) > 1 or len(shapes[1]) > 1 or not y_true.dim() or not y_pred.dim():
        return None
    for y_true, y_pred in pairs:
        alike = (y_true.shape[1:], y_pred.shape[1:]) == shapes
        if not alike or y_true.shape[0] != y_pred.shape[0]:
            return None
    return torch.cat([y_true for y_true, _ in pairs]), torch.cat([y_pred for _, y_pred in pairs])


def _per_output(spec: Any, argument: str, outputs: Outputs) -> list[Any]:
    """Return the metrics of each output, laid flat.

    Raises:
        OutputNameError: There are some for an output that the model does not have.
        ValueError: They have another structure than the outputs.
    """
    problem = "it has another structure than the outputs of the model"
    error: type[Exception] = ValueError
    if isinstance(spec, Mapping) and (outputs.is_flat or not outputs.is_dict):
        for known in (outputs.keys, outputs.names):
            if known and set(spec) <= set(known):
                return [spec.get(key) for key in known]
        known = outputs.keys or outputs.names or []
        unknown = [key for key in spec if key not in known]
        problem = f"it names an output that the model does not have: {unknown[0]!r}."
        problem = f"{problem} {nearest(unknown[0], known)}".rstrip(" .")
        error = OutputNameError
    elif outputs.is_flat and isinstance(spec, (list, tuple)) and len(spec) == outputs.count:
        return list(spec)
    else:
        structure, parts = lists_to_tuples(outputs.structure), []
        with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
            map_structure_up_to(structure, parts.append, lists_to_tuples(spec))
            return parts
    raise error(
        explain(
            f"Invalid `{argument}`: {problem}.",
            given=spec,
            outputs=outputs.keys or outputs.names or f"{outputs.count} outputs",
            fix="pass the metrics of each output in a list or in a dict by output name.",
        )
    )


_RESOLVED_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def _check_name(name: str) -> None:
    get_metric(name)


def _flat(spec: Any) -> list[Any]:
    return flatten(spec) if is_nested(spec) else [spec]


def _shape(x: Any) -> Any:
    return map_structure(lambda leaf: tuple(getattr(leaf, "shape", ())), x)
