"""TensorFlow's checkpoints, read into models without TensorFlow.

Written by `model.save_weights("prefix")` of tf.keras, by `tf.train.Checkpoint(model=model)` and, as
`variables/variables`, inside of a SavedModel. Which values belong where is decided first, along the
graph of objects in the file; only if all of a model's weights have some of their shape is anything
copied. What a file has for the model and nobody took is an error too: the model is another one.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Container, Iterator, Mapping
from typing import Any

import torch

from ..layers.layer import Layer
from ..optimizers import LossScaleOptimizer, Optimizer
from ..variables import Variable
from .errors import FileFormatError
from .legacy_training import load_optimizer_state
from .object_graph import Match, ObjectGraph, match
from .tf_bundle import Bundle, StoredTensor, find_prefix
from .walk import CONTAINERS

__all__ = ["CheckpointReader", "load_checkpoint_weights", "restore_objects"]

_SHOWN = 8
# Nodes below the root that may be the model, in a checkpoint of several objects.
_CANDIDATES = 64


# Reading it ---------------------------------------------------------------------------------------


class CheckpointReader:
    """An open checkpoint: its tensors, and the graph of objects that they belong to.

    Args:
        path: What the names of its files begin with, or a folder with one.

    Raises:
        FileFormatError: It is damaged, hostile, or has no graph of objects.
    """

    def __init__(self, path: Any) -> None:
        self.source = path
        self.bundle = Bundle(find_prefix(path))
        with self.checking():
            graph = ObjectGraph.of(self.bundle)
        if graph is None or not len(graph):
            names = sorted(self.bundle.entries)
            raise FileFormatError(
                path,
                "it is a checkpoint of TensorFlow 1, which has names of variables and no objects",
                found=", ".join(names[:_SHOWN]) or "nothing",
                fix="load it with TensorFlow and save the weights with `model.save_weights`.",
            )
        self.graph = graph

    @contextlib.contextmanager
    def checking(self) -> Iterator[None]:
        """Name the file where its graph turns out to be damaged."""
        try:
            yield
        except FileFormatError:
            raise
        except ValueError as error:
            problem = f"its graph of objects is damaged ({error})"
            raise FileFormatError(self.source, problem, fix="get the files again.") from error

    # Weights

    def find(self, model: Any) -> tuple[int, Match]:
        """Return the node that a model is, and what of it is where.

        That is the first node, or the only one directly below it that has all of the weights.

        Raises:
            FileFormatError: There are several of those.
        """
        edges = self.graph.edges(0)
        found = match(model, 0, self.graph)
        if not self._lacking(model, found) or not edges:
            return 0, found
        children = list(dict.fromkeys(edges.values()))[:_CANDIDATES]
        others = [(node, match(model, node, self.graph)) for node in children if node != 0]
        fitting = [(n, m) for n, m in others if not (self._lacking(model, m) or self._unfit(m))]
        if len(fitting) > 1:
            raise FileFormatError(
                self.source,
                "it holds several objects with the weights of this model",
                found=sorted(name for name, node in edges.items() if node in dict(fitting)),
                fix="restore it by name: `tf.train.Checkpoint(name=model).restore(path)`.",
            )
        if fitting:
            return fitting[0]
        named = edges.get("model")
        return next((pair for pair in others if pair[0] == named), (0, found))

    def _lacking(self, model: Any, found: Match) -> list[Variable]:
        """Return the weights that have no values in the file."""
        there = {id(v) for v, node in found.variables if self.value_key(node) is not None}
        return [weight for weight in _weights(model) if id(weight) not in there]

    def value_key(self, node: int) -> str | None:
        """Return the key of a variable's values; `None` if the file has none at a node."""
        key = self.graph.key(node)
        return key if key in self.bundle.entries else None

    def _unfit(self, found: Match) -> list[tuple[Variable, str]]:
        return [
            (variable, key)
            for variable, node in found.variables
            if (key := self.value_key(node)) is not None
            and tuple(variable.shape) != self.bundle.entries[key].shape
        ]

    def load(self, model: Any, node: int, found: Match, *, skip_mismatch: bool = False) -> None:
        """Copy the weights of a model.

        Args:
            model: The model, or another object with variables, or a list or dict of some.
            node: What it is in the file.
            found: What of it is where.
            skip_mismatch: Warn about what does not fit, and leave it as it is.

        Raises:
            FileFormatError: Something does not fit.
        """
        lacking = self._lacking(model, found)
        unfit = self._unfit(found)
        taken = {there for _, there in found.variables}
        left = sorted(self.graph.below(node, taken))
        if lacking or unfit or left:
            error = self._mismatch(lacking, unfit, left)
            if not skip_mismatch:
                raise error
            warnings.warn(f"Skipped what does not fit the model.\n{error}", stacklevel=4)
        wrong = {id(variable) for variable, _ in unfit}
        with torch.no_grad():
            for variable, there in found.variables:
                key = self.value_key(there)
                if key is not None and id(variable) not in wrong:
                    variable.copy_(self.bundle.read(key))
        for ours, _, _ in found.objects:
            if hasattr(ours, "finalize_state"):
                ours.finalize_state()

    def _mismatch(
        self, lacking: list[Variable], unfit: list[tuple[Variable, str]], left: list[str]
    ) -> FileFormatError:
        facts: dict[str, Any] = {}
        if lacking:
            problem = f"it has no values for {len(lacking)} of the model's weights"
            facts["missing"] = [_named(weight) for weight in lacking[:_SHOWN]]
        elif unfit:
            weight, key = unfit[0]
            problem = f"weight '{weight.path}' has another shape in the file"
            facts = {"expected": tuple(weight.shape), "given": self.bundle.entries[key].shape}
            facts["stored_as"] = key
        else:
            problem = f"it has values for {len(left)} weights that the model does not have"
        if left:
            facts["left_over"] = left[:_SHOWN]
        return FileFormatError(
            self.source,
            problem,
            fix="load it into a model with the same layers and attributes, or pass"
            " `skip_mismatch=True` to load what fits.",
            **facts,
        )

    # Optimizers

    def optimizer_node(self, model_node: int) -> int | None:
        """Return the node of a model's optimizer, or of the one beside it."""
        for node in (model_node, 0):
            found = self.graph.edges(node).get("optimizer")
            if found is not None and self.graph.edges(found):
                return found
        return None

    def trained(self, node: int, found: Match) -> list[Variable]:
        """Return the variables for which the file has state of an optimizer."""
        edges = self.graph.edges(node)
        if "_variables" in edges:
            listed = self.graph.edges(edges["_variables"]).values()
            names = {self.graph.full_name(there).partition("/")[2] for there in listed}
            names |= {name.partition("/")[2] for name in names}
            known = {there for _, there in found.variables if self.graph.full_name(there) in names}
        else:
            known = {slot.variable for slot in self.graph.slots(node)}
        return [variable for variable, there in found.variables if there in known]

    def load_optimizer(
        self, optimizer: Any, node: int, variables: list[Variable], found: Match
    ) -> None:
        """Load the state of an optimizer; what cannot be taken over is told of in a warning.

        Args:
            optimizer: The optimizer.
            node: What it is in the file.
            variables: What it trains.
            found: Where those are in the file.
        """
        edges = self.graph.edges(node)
        if isinstance(optimizer, LossScaleOptimizer):
            self._load_scale(optimizer, edges, variables)
            inner = edges.get("base_optimizer", node)  # beside a newer one's scale is its own state
            self.load_optimizer(optimizer.inner_optimizer, inner, variables, found)
            return
        if not isinstance(optimizer, Optimizer):
            warnings.warn(
                f"The state of optimizer '{type(optimizer).__name__}' is not read from TensorFlow's"
                f" checkpoint '{self.source}'; it starts afresh.",
                stacklevel=4,
            )
            return
        nodes = {id(variable): there for variable, there in found.variables}
        order = [nodes.get(id(variable), -1) for variable in variables]
        if not optimizer.built:
            optimizer.build(variables)
        if "_variables" in edges:
            state = self._new_state(edges, order)
        else:
            state = self._state_by_slots(node, edges, order)
        if state is None:
            warnings.warn(
                f"The saved state of optimizer '{optimizer.name}' does not say by names which"
                " variable each part is of; it starts with a fresh state.",
                stacklevel=4,
            )
            return
        names, keys = state
        values = [StoredTensor(self.bundle, key) for key in keys]
        if load_optimizer_state(optimizer, values, names, "2.15"):
            self._load_rate(optimizer, edges)

    def _load_scale(
        self, optimizer: LossScaleOptimizer, edges: Mapping[str, int], variables: list[Variable]
    ) -> None:
        """Load by what losses are multiplied, and for how many steps they have been."""
        if not optimizer.built:
            optimizer.build(variables)
        scale = self.graph.edges(edges["loss_scale"]) if "loss_scale" in edges else {}
        pairs = {"current_loss_scale": optimizer.dynamic_scale}
        pairs["good_steps"] = optimizer.step_counter
        for name, variable in pairs.items():
            key = self.value_key(scale[name]) if name in scale else None
            if key is not None:
                variable.assign(self.bundle.read(key))

    def _new_state(
        self, edges: Mapping[str, int], order: list[int]
    ) -> tuple[list[str], list[str]] | None:
        """Return names and keys of what today's optimizers have, in the order of our variables.

        The file has them kind by kind or variable by variable, as TensorFlow listed the variables:
        those of one kind change places among themselves. `None` if names do not say which is whose.
        """
        listed = self.graph.edges(edges["_variables"])
        nodes = [listed[str(i)] for i in range(len(listed)) if str(i) in listed]
        wanted = [self.graph.full_name(node) for node in order if node >= 0]
        ranks = {name: i for i, name in enumerate(wanted)}
        stored = [
            (_with_kind(self.graph.full_name(n), ranks), key)
            for n in nodes
            if (key := self.value_key(n))
        ]
        places: dict[str, dict[int, int]] = {}  # by kind: those of variables in the file's list
        for i, (name, key) in enumerate(stored):
            parts = name.split("/", 2)
            if len(parts) == 3 and parts[2] in ranks:
                there = places.setdefault(f"{parts[0]}/{parts[1]}", {})
                if there.setdefault(ranks[parts[2]], i) != i:
                    return None
            elif self.bundle.entries[key].shape:
                return None
        if len(ranks) < len(wanted):
            return None
        ordered = list(stored)
        for there in places.values():
            for i, rank in zip(sorted(there.values()), sorted(there), strict=True):
                ordered[i] = stored[there[rank]]
        return [name for name, _ in ordered], [key for _, key in ordered]

    def _state_by_slots(
        self, node: int, edges: Mapping[str, int], order: list[int]
    ) -> tuple[list[str], list[str]]:
        """Return the same of an optimizer of `optimizers.legacy`: count, then slots by kind."""
        names, keys = [], []
        if "iter" in edges and (key := self.value_key(edges["iter"])):
            names.append("iter")
            keys.append(key)
        kinds: dict[str, dict[int, str]] = {}
        for slot in self.graph.slots(node):
            if key := self.value_key(slot.node):
                kinds.setdefault(slot.name, {})[slot.variable] = key
        for kind, slots in kinds.items():
            for variable in order:
                if variable in slots:
                    names.append(f"{self.graph.full_name(variable)}/{kind}")
                    keys.append(slots[variable])
        for extra in ("momentum_cache",):
            if extra in edges and (key := self.value_key(edges[extra])):
                names.append(extra)
                keys.append(key)
        return names, keys

    def _load_rate(self, optimizer: Any, edges: Mapping[str, int]) -> None:
        """Take over the learning rate, which training may have changed; tell of other changes."""
        for edge in ("_learning_rate", "learning_rate"):
            key = self.value_key(edges[edge]) if edge in edges else None
            if key is not None and not callable(optimizer._learning_rate):
                optimizer.learning_rate = float(self.bundle.read(key))
        for name in ("beta_1", "beta_2", "decay", "momentum", "rho"):
            key = self.value_key(edges[name]) if name in edges else None
            ours = getattr(optimizer, name, None)
            if name == "decay" and ours is None and not callable(optimizer._learning_rate):
                ours = 0.0  # else a schedule stands for it
            if key is None or not isinstance(ours, (int, float)):
                continue
            theirs = float(self.bundle.read(key))
            if abs(theirs - ours) > 1e-6:
                warnings.warn(
                    f"Optimizer '{optimizer.name}' has {name}={ours}, in the file {theirs:g}; it"
                    f" needs {name}={theirs:g} to train on as before.",
                    stacklevel=5,
                )


def _with_kind(name: str, variables: Container[str]) -> str:
    """Return the name of a slot as `Adam/m/dense/kernel`; some lack the optimizer's."""
    return f"optimizer/{name}" if name.partition("/")[2] in variables else name


def _weights(ours: Any) -> list[Variable]:
    """Return what has to be in a file of an object."""
    if isinstance(ours, Variable):
        return [ours]
    if isinstance(ours, CONTAINERS):
        items = ours.values() if isinstance(ours, dict) else ours
        return [weight for item in items for weight in _weights(item)]
    return list(ours.weights if isinstance(ours, Layer) else getattr(ours, "variables", ()))


def _named(weight: Variable) -> str:
    return f"{weight.path} {tuple(weight.shape)}"


def restore_objects(objects: Mapping[str, Any], path: Any) -> None:
    """Read a checkpoint of `tf.train.Checkpoint(name=object, …)` into objects of the same names.

    Args:
        objects: Models, layers, modules, variables, optimizers, and lists and dicts of them, by
            name. What `root` is has no name in the file.
        path: What the names of the checkpoint's files begin with.

    Raises:
        FileFormatError: It is damaged, hostile, or does not fit.
    """
    reader = CheckpointReader(path)
    with reader.checking():
        edges = {"root": 0, **reader.graph.edges(0)}
        lacking = sorted(objects.keys() - edges.keys())
        if lacking:
            raise FileFormatError(
                path,
                f"it has no object '{lacking[0]}'",
                found=sorted(edges.keys() - {"root", "save_counter"}),
                fix="give `tf.train.Checkpoint` the names that it was written with.",
            )
        together = Match()
        for name, ours in objects.items():
            if not isinstance(ours, Optimizer):
                found = match(ours, edges[name], reader.graph)
                reader.load(ours, edges[name], found)
                together.variables += found.variables
        for name, ours in objects.items():
            if isinstance(ours, Optimizer):
                node = edges[name]
                variables = ours._trainable_variables if ours.built else None
                variables = variables or reader.trained(node, together)
                reader.load_optimizer(ours, node, variables, together)


def load_checkpoint_weights(model: Any, path: Any, *, skip_mismatch: bool = False) -> None:
    """Read a checkpoint into a model: its weights, and the state of its optimizer if it has both.

    Args:
        model: A built model.
        path: What the names of the checkpoint's files begin with, or a folder with one.
        skip_mismatch: Warn about what does not fit, and leave it as it is.

    Raises:
        FileFormatError: It is damaged, hostile, or does not fit the model.
    """
    reader = CheckpointReader(path)
    with reader.checking():
        node, found = reader.find(model)
        reader.load(model, node, found, skip_mismatch=skip_mismatch)
        optimizer = getattr(model, "optimizer", None)
        there = None if optimizer is None else reader.optimizer_node(node)
        if there is not None:
            reader.load_optimizer(optimizer, there, model.trainable_variables, found)
