"""`load_torch_weights`: weights of PyTorch's layers into the same architecture in Keras.

Where a weight goes is not written down a second time: the model is translated to PyTorch with the
numbers of its elements in place of their values, and the translation is read backwards.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file

from ...naming import explain
from .translate import write_model

__all__ = ["load_torch_weights"]

# The elements' numbers are told by a fraction from what a translation fills in or computes.
_MARK = 0.25
_COUNTERS = ".num_batches_tracked"


def load_torch_weights(model: Any, source: Any, names: Mapping[str, str] | None = None) -> None:
    """Take over the weights of a PyTorch module of the same architecture.

    Args:
        model: Functional or Sequential, and built.
        source: A module, its state dict, or a `.safetensors` or `.pt` file of one (which is read
            without running any code in it). Names are those that `to_torch()` would give: a layer's
            and PyTorch's (`conv.weight`); where all differ, the order decides, if the shapes agree
            (not in `.safetensors` files, which are sorted).
        names: What to call parts of the source instead: `{"features.0": "conv"}`.

    Raises:
        ValueError: Names or shapes do not fit; nothing has been changed then.
        NotImplementedError: A layer of the model has no form in PyTorch.

    Example:
        >>> from torchkeras import Input, Sequential, layers
        >>> model = Sequential([Input((3,)), layers.Dense(2, name="top")])
        >>> load_torch_weights(model, torch.nn.Sequential(torch.nn.Linear(3, 2)))
        >>> state = {"head.weight": torch.ones(2, 3), "head.bias": torch.zeros(2)}
        >>> load_torch_weights(model, state, names={"head": "top"})
        >>> model(torch.ones(1, 3)).tolist()
        [[3.0, 3.0]]
    """
    state = _renamed(_read(source), names or {})
    numbered = copy.deepcopy(model)
    numbered.trainable = True
    start, places = 0, []
    for weight, copied in zip(model.weights, numbered.weights, strict=True):
        count = weight.numel()
        numbers = torch.arange(start, start + count, dtype=torch.float64)
        copied.data = numbers.add_(_MARK).reshape(weight.shape)
        places.append((weight, start))
        start += count
    wanted = write_model(numbered, {}, {}).state
    state = _matched(model, state, wanted)
    values = torch.zeros(start, dtype=torch.float64)
    filled = torch.zeros(start, dtype=torch.bool)
    for key, numbers in wanted.items():
        numbers = numbers.flatten().to(torch.float64)
        given = state[key].detach().cpu().to(torch.float64).flatten()
        if _are_places(numbers):
            index = numbers.to(torch.int64)
            values[index] += given
            filled[index] = True
        elif ".bias_hh" in key and _are_places(first := wanted[key.replace("_hh", "_ih")]):
            values[first.flatten().to(torch.int64)] += given  # Keras has one bias for both
    with torch.no_grad():
        for weight, first in places:
            part = slice(first, first + weight.numel())
            if filled[part].all():
                weight.copy_(values[part].reshape(weight.shape))


def _read(source: Any) -> dict[str, torch.Tensor]:
    if isinstance(source, torch.nn.Module):
        source = source.state_dict()
    elif isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if path.endswith(".safetensors"):
            source = load_file(path)
        else:
            source = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(source, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in source.values()
    ):
        raise ValueError(
            explain(
                "Weights of PyTorch are a module, a state dict, or a file of one.",
                given=type(source).__name__,
                fix="pass `module.state_dict()`.",
            )
        )
    return {key: value for key, value in source.items() if not key.endswith(_COUNTERS)}


def _renamed(state: dict[str, torch.Tensor], names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    unknown = [old for old in names if not any(f"{key}.".startswith(f"{old}.") for key in state)]
    if unknown:
        raise ValueError(
            explain(
                f"`names` has parts that the source lacks: {', '.join(unknown)}.",
                expected=", ".join(dict.fromkeys(key.rpartition(".")[0] for key in state)),
            )
        )

    def renamed(key: str) -> str:
        for old in sorted(names, key=len, reverse=True):
            if f"{key}.".startswith(f"{old}."):
                return names[old] + key[len(old) :]
        return key

    return {renamed(key): value for key, value in state.items()}


def _matched(
    model: Any, state: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Check names and shapes, and return the state under the names that are wanted."""
    for key in [key for key in wanted if key.endswith(_COUNTERS)]:
        del wanted[key]
    if not set(state) & set(wanted):
        shapes = [tuple(x.shape) for x in state.values()], [tuple(x.shape) for x in wanted.values()]
        if shapes[0] == shapes[1]:
            return dict(zip(wanted, state.values(), strict=True))
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    wrong = [
        f"{key}: {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or unexpected or wrong:
        raise ValueError(
            explain(
                f"The weights do not fit the model '{model.name}'.",
                missing=_some(missing),
                unexpected=_some(unexpected),
                wrong_shapes=_some(wrong),
                fix="rename parts with `names={'name in the source': 'name of the layer'}`; the"
                " names wanted are those of `model.to_torch().state_dict()`.",
            )
        )
    return state


def _some(items: list[str]) -> str | None:
    if not items:
        return None
    return ", ".join(items[:8]) + (f", and {len(items) - 8} more" if len(items) > 8 else "")


def _are_places(numbers: torch.Tensor) -> bool:
    """Whether a translated weight holds numbers of elements, and no values that were computed."""
    return bool((numbers == numbers.floor() + _MARK).all())
