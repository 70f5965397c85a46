"""The walk over everything in a model that has state, with the paths that Keras gives it in files.

A *saveable* is a layer, optimizer, metric or loss, or a plain `torch.nn.Module`. Its children are
its attributes in alphabetical order, private ones last; `layers` comes first for graph models.
Items of lists, tuples and dicts are named after their classes (`dense`, `dense_1`), since the names
of objects differ between two instances of a model; nested containers are `container`,
`container_1`. What is reached twice is saved where it was reached first.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from ..layers.layer import Layer
from ..losses import Loss
from ..metrics import Metric
from ..naming import to_snake_case
from ..optimizers import Optimizer
from .errors import FileFormatError

__all__ = [
    "CONTAINERS",
    "Failures",
    "children_of",
    "is_graph_model",
    "is_saveable",
    "load_state",
    "own_variables",
    "save_state",
]

# Attributes of models that only repeat their layers, or what they were compiled with.
_MODEL_INTERNALS = frozenset(
    "operations inputs outputs _functional _stacked_layers _nodes _compile_arguments _compile_loss"
    " _compile_metrics _loss_tracker _compiled_trainable_state".split()
)
CONTAINERS = (list, tuple, dict)
_GRAPH_MODELS = ("Functional", "Sequential")
# Where the buffers of a layer go; Keras has none and passes over it.
_EXTRA = "torch_state"


def is_saveable(obj: Any) -> bool:
    """Return whether the walk visits `obj`."""
    if isinstance(obj, CONTAINERS):  # tracked ones are modules too
        return False
    return isinstance(obj, (torch.nn.Module, Metric, Optimizer, Loss)) or (
        hasattr(type(obj), "save_own_variables")
    )


@functools.cache
def _base_names(kind: type) -> frozenset[str]:
    """Return the attributes that every object of a kind has; they hold no children."""
    if kind is Optimizer:
        return frozenset(dir(Optimizer)) - {"variables"}
    if kind is Layer:
        return frozenset(dir(Layer(name="reference")))
    return frozenset(dir(kind))


@functools.cache
def _class_names(cls: type) -> frozenset[str]:
    """Return what the library's own model classes define: none of it holds children."""
    package = __name__.partition(".")[0]
    ours = (f"{package}.models", f"{package}.training")
    return frozenset(n for c in cls.__mro__ if c.__module__.startswith(ours) for n in vars(c))


def is_graph_model(saveable: Any) -> bool:
    """Return whether the layers of a model come before its attributes."""
    return any(base.__name__ in _GRAPH_MODELS for base in type(saveable).__mro__)


def children_of(saveable: Any) -> Iterator[tuple[str, Any]]:
    """Yield the saveables and containers that an object holds, by their attributes."""
    cls = type(saveable)
    kind = next((k for k in (Layer, Metric, Optimizer, Loss) if isinstance(saveable, k)), None)
    if kind is None:
        return  # a plain module: its state dict holds everything below it
    names = set(dir(saveable)) - _base_names(kind) - _class_names(cls)
    registered: set[int] = set()
    if kind is Layer and hasattr(saveable, "layers"):
        names = (names - _MODEL_INTERNALS) | {"layers", "optimizer"}
        if is_graph_model(saveable):
            # Before attributes that subclasses add; each layer is an attribute too.
            yield "layers", saveable.layers
            names.discard("layers")
            registered = {id(layer) for layer in saveable._layers if _is_entry(layer)}
            registered |= {id(layer) for layer in saveable.layers}
    for name in sorted(names, key=lambda n: f"~{n}" if n.startswith("_") else n):
        if name.startswith("__") or (name == "module" and cls.__name__ == "TorchModuleWrapper"):
            continue
        try:
            child = getattr(saveable, name)
        except Exception:  # noqa: BLE001 - properties may fail, for instance before building
            continue
        if is_saveable(child):
            if id(child) not in registered and not _is_helper(saveable, name, child):
                yield name, child
        elif isinstance(child, CONTAINERS):
            yield name, child


def _is_entry(layer: Any) -> bool:
    """Whether a layer only stands for an input; `Sequential` does not list its own."""
    return type(layer).__name__ == "InputLayer"


def _is_helper(owner: Any, name: str, child: Any) -> bool:
    """Whether a plain module is no part of its owner, such as a lowered graph kept beside it."""
    plain = isinstance(child, torch.nn.Module) and not isinstance(child, Layer)
    return plain and getattr(owner, "_modules", {}).get(name) is not child


def _items(container: Any) -> Iterator[tuple[str, Any]]:
    """Yield the saveables and containers in a container, with the names they get in files."""
    used: dict[str, int] = {}
    for item in container.values() if isinstance(container, dict) else container:
        if isinstance(item, CONTAINERS):
            name = "container"
        elif isinstance(item, torch.nn.Module) and not isinstance(item, Layer):
            name = "torch_module_wrapper"  # what Keras wraps such a module in
        elif is_saveable(item):
            name = to_snake_case(type(item).__name__)
        else:
            continue
        count = used[name] = used.get(name, -1) + 1
        yield f"{name}_{count}" if count else name, item


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def own_variables(saveable: Any) -> list[Any]:
    """Return the variables a layer or optimizer holds itself, in the order files have them."""
    if isinstance(saveable, Layer):
        return [*saveable._trainable_variables, *saveable._non_trainable_variables]
    return list(getattr(saveable, "variables", ()))


def _buffers(saveable: Any) -> dict[str, torch.Tensor]:
    """Return the persistent buffers that PyTorch code registered on a layer itself."""
    if not isinstance(saveable, Layer):
        return {}
    dropped = saveable._non_persistent_buffers_set
    return {k: b for k, b in saveable._buffers.items() if b is not None and k not in dropped}


# Saving ------------------------------------------------------------------------------------------


def save_state(
    model: Any, weights: Any, assets: Any = None, skip: Callable[[Any], bool] | None = None
) -> None:
    """Write the state of a model and of everything in it.

    Args:
        model: The model, or any saveable.
        weights: Where to: `weights.entry(path, name)` returns a mapping for the arrays of one path.
        assets: Where files go: `assets.make(path)` returns a folder; or `None` for no files.
        skip: Objects for which it is true are left out.
    """
    visited: set[int] = set()

    def save(saveable: Any, path: str) -> None:
        if id(saveable) in visited or (skip is not None and skip(saveable)):
            return
        visited.add(id(saveable))
        if weights is not None:
            _save_own(saveable, weights, path)
        if assets is not None and hasattr(saveable, "save_assets"):
            saveable.save_assets(assets.make(path))
        for name, child in children_of(saveable):
            descend(child, _join(path, name), set())

    def descend(child: Any, path: str, containers: set[int]) -> None:
        if is_saveable(child):
            save(child, path)
        elif id(child) not in containers:
            containers.add(id(child))
            for name, item in _items(child):
                descend(item, _join(path, name), containers)

    save(model, "")


def _save_own(saveable: Any, weights: Any, path: str) -> None:
    if hasattr(saveable, "save_own_variables"):
        name = getattr(saveable, "name", None)
        saveable.save_own_variables(weights.entry(path, name if isinstance(name, str) else None))
    elif isinstance(saveable, torch.nn.Module):
        _put(weights.entry(path), saveable.state_dict(), path)
    buffers = _buffers(saveable)
    if buffers:
        _put(weights.entry(_join(path, _EXTRA)), buffers, path)


def _put(entry: Any, tensors: Mapping[str, Any], path: str) -> None:
    for key, value in tensors.items():
        if isinstance(value, torch.Tensor):
            entry[key] = value
        else:
            warnings.warn(
                f"'{path}/{key}' is a {type(value).__name__}, not a tensor, and is not saved.",
                stacklevel=2,
            )


# Loading -----------------------------------------------------------------------------------------


class Failures(dict):
    """What could not be loaded: the saveable, its path in the file, and the error, by `id`."""

    def message(self, weights: Any) -> tuple[str, dict[str, Any]]:
        """Describe the first failure in full and name the others."""
        (saveable, path, error), *others = self.values()
        problem, facts = _explain_failure(saveable, path, error, weights)
        if others:
            facts["also"] = ", ".join(_label(other) for other, _, _ in others[:8])
            if len(others) > 8:
                facts["also"] += f" and {len(others) - 8} more"
        return problem, facts


def load_state(
    model: Any,
    weights: Any,
    assets: Any = None,
    *,
    source: Any,
    skip_mismatch: bool = False,
    skip: Callable[[Any], bool] | None = None,
) -> None:
    """Read the state of a model and of everything in it.

    Args:
        model: The model, or any saveable.
        weights: Where from: `weights.entry(path)` returns a mapping of the arrays of one path, and
            `weights.has(path)` whether there is anything there; or `None` for no arrays.
        assets: Where files are: `assets.get(path)` returns a folder or `None`; or `None`.
        source: The file, for messages.
        skip_mismatch: Warn about what does not fit, and leave it as it is.
        skip: Objects for which it is true are left alone.

    Raises:
        FileFormatError: Something does not fit the file.
    """
    visited: set[int] = set()
    failures = Failures()

    def load(saveable: Any, path: str) -> None:
        if id(saveable) in visited or (skip is not None and skip(saveable)):
            return
        try:
            if weights is not None:
                _load_own(saveable, weights, path)
            if assets is not None and hasattr(saveable, "load_assets"):
                saveable.load_assets(assets.get(path))
        except FileFormatError:
            raise  # the file itself is bad
        except Exception as error:  # noqa: BLE001 - reported below, with the layer's name
            failures.setdefault(id(saveable), (saveable, path, error))
        else:
            # What failed elsewhere may stand in the file here.
            visited.add(id(saveable))
            failures.pop(id(saveable), None)
        for name, child in children_of(saveable):
            descend(child, _join(path, name), set())

    def descend(child: Any, path: str, containers: set[int]) -> None:
        if is_saveable(child):
            load(child, path)
        elif id(child) not in containers:
            containers.add(id(child))
            known = set(failures)
            for name, item in _items(child):
                descend(item, _join(path, name), containers)
            new = set(failures) - known
            if new and "/container" in path and weights is not None and not weights.has(path):
                _forgive_old_container(failures, known, path)

    load(model, "")
    if failures:
        problem, facts = failures.message(weights)
        error = FileFormatError(source, problem, fix=_FIX, **facts)
        if not skip_mismatch:
            raise error
        warnings.warn(f"Skipped what does not fit the model.\n{error}", stacklevel=4)


_FIX = (
    "load it into a model with the same layers, built in the same way, or pass"
    " `skip_mismatch=True` to load what fits."
)


def _forgive_old_container(failures: Failures, known: set[int], path: str) -> None:
    """Files of Keras before 3.13 lack what stands in nested containers; keep what is there."""
    for key in set(failures) - known:
        del failures[key]
    warnings.warn(
        f"Skipping nested container '{path}', for which the file has nothing: it comes from a"
        " version of Keras that did not save layers in nested containers. They keep their present"
        " weights.",
        stacklevel=6,
    )


def _load_own(saveable: Any, weights: Any, path: str) -> None:
    if hasattr(saveable, "load_own_variables"):
        saveable.load_own_variables(weights.entry(path))
    elif isinstance(saveable, torch.nn.Module):
        _take(saveable.state_dict(), weights.entry(path))
    buffers = _buffers(saveable)
    if buffers:
        extra = weights.entry(_join(path, _EXTRA))
        if len(extra):
            _take(buffers, extra)


def _take(tensors: Mapping[str, torch.Tensor], entry: Mapping[str, Any]) -> None:
    """Copy what an entry holds into tensors of the same names."""
    tensors = {key: value for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    if set(tensors) != set(entry.keys()):
        missing, unknown = sorted(set(tensors) - set(entry)), sorted(set(entry) - set(tensors))
        raise ValueError(f"its tensors differ: missing in the file {missing}, unknown {unknown}")
    with torch.no_grad():
        for key, target in tensors.items():
            value = entry[key]
            value = value if isinstance(value, torch.Tensor) else torch.from_numpy(value)
            if value.shape != target.shape:
                raise ValueError(
                    f"'{key}' is {tuple(target.shape)}, in the file {tuple(value.shape)}"
                )
            target.copy_(value)


def _label(saveable: Any) -> str:
    name = getattr(saveable, "name", None)
    kind = type(saveable).__name__
    return f"{kind} '{name}'" if isinstance(name, str) else kind


def _explain_failure(
    saveable: Any, path: str, error: Exception, weights: Any
) -> tuple[str, dict[str, Any]]:
    """Say which variable does not fit, from the shapes in the model and in the file."""
    label, where = _label(saveable), path or "the top level"
    variables = own_variables(saveable) if not _is_plain(saveable) else []
    if weights is None:
        return f"{label} could not be loaded", {"reason": str(error).replace("\n", " ")}
    entry = weights.entry(path)
    if variables and not len(entry):
        expected = [f"{_name(v)} {tuple(v.shape)}" for v in variables]
        problem = f"{label} received 0 variables: the file has none at '{where}'"
        return problem, {"expected": expected}
    for i, variable in enumerate(variables):
        given = entry.shape_of(str(i)) if str(i) in entry else None
        if given is not None and given != tuple(variable.shape):
            name = _name(variable)
            return f"{label}: variable '{name}' has another shape in the file; both must match", {
                "expected": tuple(variable.shape),
                "given": given,
            }
    if variables and len(entry) != len(variables):
        return f"{label} has {len(variables)} variables, in the file {len(entry)}", {
            "expected": [f"{_name(v)} {tuple(v.shape)}" for v in variables],
            "given": [entry.shape_of(key) for key in entry],
        }
    if not variables and len(entry) and not getattr(saveable, "built", True):
        return f"{label} is not built, but the file has {len(entry)} variables for it", {}
    return f"{label} could not be loaded", {"reason": str(error).replace("\n", " ")}


def _is_plain(saveable: Any) -> bool:
    return isinstance(saveable, torch.nn.Module) and not isinstance(saveable, Layer)


def _name(variable: Any) -> str:
    return str(getattr(variable, "path", None) or getattr(variable, "name", "variable"))
