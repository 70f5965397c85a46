"""The variables of a model in dicts nested by their paths, and by one path each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..dtypes import to_numpy
from ..naming import explain

__all__ = ["read_state_tree", "variables_by_path", "write_state_tree"]

_FORMATS = ("backend_tensor", "numpy_array")


def _groups(model: Any) -> dict[str, list[Any]]:
    """Return the variables by the part they play."""
    optimizer = getattr(model, "optimizer", None)
    return {
        "trainable_variables": list(model.trainable_variables),
        "non_trainable_variables": list(model.non_trainable_variables),
        "optimizer_variables": [] if optimizer is None else list(optimizer.variables),
        "metrics_variables": list(model.metrics_variables),
    }


def variables_by_path(variables: Iterable[Any]) -> dict[str, Any]:
    """Return variables by their paths.

    Raises:
        ValueError: Two have the same.
    """
    found: dict[str, Any] = {}
    for variable in variables:
        if found.setdefault(variable.path, variable) is not variable:
            raise ValueError(
                explain(
                    f"The following variable path is found twice in the model: '{variable.path}'.",
                    fix="give each layer (or optimizer, or metric) a name of its own.",
                )
            )
    return found


def read_state_tree(model: Any, value_format: str) -> dict[str, Any]:
    """Return the variables of a model; see `Model.get_state_tree`."""
    if value_format not in _FORMATS:
        raise ValueError(
            explain(
                "Invalid `value_format` argument.",
                given=repr(value_format),
                expected=" or ".join(map(repr, _FORMATS)),
            )
        )
    tree: dict[str, Any] = {}
    for group, variables in _groups(model).items():
        tree[group] = {}
        for path, variable in variables_by_path(variables).items():
            *parents, name = path.split("/")
            inner = tree[group]
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[name] = variable if value_format == "backend_tensor" else _copy(variable)
    return tree


def _copy(variable: Any) -> np.ndarray:
    return np.array(to_numpy(variable))


def write_state_tree(model: Any, tree: Mapping[str, Any]) -> None:
    """Set the variables of a model; see `Model.set_state_tree`."""
    groups = _groups(model)
    for group, values in tree.items():
        if group not in groups:
            raise ValueError(
                explain(f"Unknown variable name: {group}.", expected=", ".join(groups))
            )
        variables = {variable.path: variable for variable in groups[group]}
        for path, value in _leaves(values, ""):
            if path in variables:
                variables[path].assign(value)


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of each leaf."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}/")
        else:
            yield prefix + key, value
