"""`ExportArchive`: functions of layers and models, each as a program of `torch.export`.

`write_out("model.pt2")` writes the one endpoint there is to that file. `write_out("folder")` writes
a `.pt2` per endpoint, named as it, and a `.safetensors` per collection of variables:

    folder/serve.pt2
    folder/optimizer_variables.safetensors
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from safetensors.torch import save

from ..layers import Layer
from ..naming import explain
from ..saving.atomic import replacing
from ..tree import flatten
from .program import in_inference_mode, save_program, trace
from .signature import report, to_signature

__all__ = ["ExportArchive"]


class ExportArchive:
    """Collect endpoints of a model, then write them.

    Args:
        format: Of Keras's formats, its default; here all of them are programs of `torch.export`.
        kwargs: Not used by Keras's default format either.

    Raises:
        ValueError: An unknown format.
        NotImplementedError: A format that is not written here.

    Example:
        >>> import tempfile
        >>> from torchkeras import Input, InputSpec, Sequential, layers
        >>> model = Sequential([Input((3,)), layers.Dense(2)])
        >>> archive = ExportArchive()
        >>> archive.track(model)
        >>> spec = InputSpec(shape=(None, 3), dtype="float32")
        >>> _ = archive.add_endpoint("serve", model.call, input_signature=[spec])
        >>> folder = os.path.join(tempfile.mkdtemp(), "model")
        >>> archive.write_out(folder, verbose=False)
        >>> program = torch.export.load(os.path.join(folder, "serve.pt2")).module()
        >>> program(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(self, format: str = "saved_model", **kwargs: Any) -> None:  # noqa: A002
        if format == "neptune_model":
            raise NotImplementedError(
                "format='neptune_model' is not available. Fix: leave out `format`; endpoints are"
                " programs of `torch.export`."
            )
        if format != "saved_model" or kwargs:
            raise ValueError(f"Unsupported format: {format!r} with arguments {sorted(kwargs)}.")
        self._resources: list[Layer] = []
        self._programs: dict[str, torch.export.ExportedProgram] = {}
        self._collections: dict[str, list[torch.Tensor]] = {}

    @property
    def variables(self) -> list[Any]:
        """The variables of all that is tracked."""
        found = (v for resource in self._resources for v in resource.variables)
        return list({id(variable): variable for variable in found}.values())

    @property
    def trainable_variables(self) -> list[Any]:
        """Those of `variables` that are trained."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """Those of `variables` that are not trained."""
        return [variable for variable in self.variables if not variable.trainable]

    def track(self, resource: Any) -> None:
        """Let endpoints use the variables of a layer or model.

        What an endpoint's function refers to by a name, or is a method of, is tracked by itself.

        Args:
            resource: A layer or model, which is built.

        Raises:
            ValueError: It is something else, or not built.
        """
        if not isinstance(resource, Layer) or not resource.built:
            raise ValueError(
                explain(
                    "Only layers and models that are built can be tracked.",
                    given=f"{resource!r} (of type {type(resource).__name__})",
                    fix="build a layer by calling it on data, or with `build(input_shape)`.",
                )
            )
        if all(resource is not known for known in self._resources):
            self._resources.append(resource)

    def add_endpoint(
        self, name: str, fn: Callable[..., Any], input_signature: Any = None, **kwargs: Any
    ) -> Callable[..., Any]:
        """Trace a function, for a file of its own.

        Args:
            name: Of the endpoint.
            fn: Takes and returns tensors, or structures of them.
            input_signature: A list with a spec, or a structure of specs, for each argument. It may
                be left out for a model, or its `call`.
            kwargs: Options of `torch.export.export`, such as `dynamic_shapes`.

        Returns: The traced function.

        Raises:
            ValueError: The name is taken or no name, or the signature is missing.
            RuntimeError: It cannot be traced.
        """
        if not isinstance(name, str) or not name.isidentifier() or name in self._programs:
            raise ValueError(
                explain(
                    "An endpoint needs a name of its own, which is a Python identifier.",
                    given=repr(name),
                    taken=", ".join(self._programs) or "none",
                )
            )
        owner = fn if isinstance(fn, Layer) else getattr(fn, "__self__", None)
        if input_signature is None and not isinstance(owner, Layer):
            raise ValueError(
                f"Endpoint '{name}': the inputs of this function are unknown. Fix: pass"
                " input_signature=[keras.InputSpec(shape=(None, 3), dtype='float32')], or the like."
            )
        for resource in _layers_of(fn, owner):
            self.track(resource)
        endpoint = _Endpoint(fn, self._resources)
        with in_inference_mode(endpoint):
            program = trace(endpoint, to_signature(owner, input_signature), **kwargs)
        self._programs[name] = program
        return program.module()

    def track_and_add_endpoint(
        self, name: str, resource: Any, input_signature: Any, **kwargs: Any
    ) -> Callable[..., Any]:
        """Track a layer or model, and make its call an endpoint; see `add_endpoint`."""
        self.track(resource)
        return self.add_endpoint(name, resource, input_signature, **kwargs)

    def add_variable_collection(self, name: str, variables: Iterable[Any]) -> None:
        """Write variables to a file of their own, by their paths.

        Args:
            name: Of the collection.
            variables: A list, tuple or set of variables.

        Raises:
            ValueError: The name is no string, or the variables are something else.
        """
        if not isinstance(name, str):
            raise ValueError(f"The name of a collection must be a string, not {name!r}.")
        found = list(variables) if isinstance(variables, (list, tuple, set)) else [variables]
        if not all(isinstance(variable, torch.Tensor) for variable in found):
            raise ValueError(
                explain(
                    f"Collection '{name}' must be a list, tuple or set of variables.",
                    given=sorted({type(variable).__name__ for variable in found}),
                )
            )
        self._collections[name] = found

    def write_out(self, filepath: Any, options: Any = None, verbose: bool = True) -> None:
        """Write all endpoints and collections.

        Args:
            filepath: A `.pt2` file, for one endpoint alone, or a folder.
            options: Of TensorFlow's; must be `None`.
            verbose: Say what was written.

        Raises:
            ValueError: There is no endpoint, more than a file can hold, or `options` are given.
        """
        path = os.fspath(filepath)
        if options is not None:
            raise ValueError(f"`options` are TensorFlow's; there are none here, but got {options}.")
        if not self._programs:
            raise ValueError("No endpoints have been set yet. Fix: call `add_endpoint()` first.")
        if not path.endswith(".pt2"):
            os.makedirs(path, exist_ok=True)
            for name, program in self._programs.items():
                save_program(program, os.path.join(path, f"{name}.pt2"))
            for name, variables in self._collections.items():
                _save_variables(variables, os.path.join(path, f"{name}.safetensors"))
        elif len(self._programs) == 1 and not self._collections:
            save_program(next(iter(self._programs.values())), path)
        else:
            raise ValueError(
                explain(
                    "A `.pt2` file holds one endpoint and no collections.",
                    endpoints=list(self._programs),
                    collections=list(self._collections),
                    fix="give a folder.",
                )
            )
        if verbose:
            endpoints = ", ".join(map(repr, self._programs))
            report(f"Saved the endpoints {endpoints} at '{path}'.")


class _Endpoint(torch.nn.Module):
    """A function, and the modules whose weights it uses: `torch.export` finds these here."""

    def __init__(self, fn: Callable[..., Any], resources: list[Layer]) -> None:
        super().__init__()
        self.__dict__["fn"] = fn  # a model would be registered a second time
        for resource in resources:
            self.add_module(resource.name.replace(".", "_"), resource)

    def forward(self, *args: Any) -> Any:
        return self.fn(*args)


def _layers_of(fn: Callable[..., Any], owner: Any) -> list[Layer]:
    """The layers that a function is, belongs to, or refers to by the names of variables."""
    if isinstance(owner, Layer):
        return [owner]
    if not inspect.isfunction(fn):
        return []
    named = inspect.getclosurevars(fn)
    found = flatten([*named.nonlocals.values(), *named.globals.values()])
    return [x for x in found if isinstance(x, Layer) and x.built]


def _save_variables(variables: list[torch.Tensor], path: str) -> None:
    names = [getattr(variable, "path", None) or str(i) for i, variable in enumerate(variables)]
    names = names if len(set(names)) == len(names) else list(map(str, range(len(names))))
    tensors = {
        name: variable.detach().contiguous().clone()
        for name, variable in zip(names, variables, strict=True)
    }
    with replacing(path) as file:
        file.write(save(tensors))
