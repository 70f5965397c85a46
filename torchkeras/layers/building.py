"""What surrounds the `build` of a layer: the name scope, and the shapes that files keep."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..graph.infer import real_mode
from ..naming import current_path

__all__ = ["as_shapes", "recorded_build"]


def recorded_build(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap a `build` method: name scope, the shapes for `get_build_config`, and `built`."""

    signature = inspect.signature(build)
    parameters = list(signature.parameters.values())[1:]
    plain = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    # The usual case, one shape, without the binding.
    only = plain[0] if len(plain) == len(parameters) == 1 else None

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        self._require_init()
        if self._building:  # `super().build(…)` within an overriding one
            build(self, *args, **kwargs)
            return
        self.__dict__["_building"] = True
        try:
            with real_mode(), self._name_scope():
                self.__dict__["_path"] = current_path()
                self._settle_policy()
                build(self, *args, **kwargs)
            if only is not None and len(args) + len(kwargs) == 1:
                shapes = {only: args[0] if args else kwargs[only]}
            else:
                bound = signature.bind(self, *args, **kwargs).arguments
                shapes = dict(list(bound.items())[1:])
            self.__dict__["_build_shapes"] = shapes
            self.built = True
            self._adopt_stray_weights()
            self._lock_state()
        finally:
            self.__dict__["_building"] = False

    return wrapped


def as_shapes(shape: Any) -> Any:
    """Turn the lists of a JSON file back into tuples where they are shapes."""
    if isinstance(shape, (list, tuple)):
        if all(size is None or isinstance(size, int) for size in shape):
            return tuple(shape)
        return [as_shapes(item) for item in shape]
    if isinstance(shape, dict):
        return {key: as_shapes(item) for key, item in shape.items()}
    return shape
