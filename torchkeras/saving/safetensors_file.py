"""Whole models in one `.safetensors` file.

Tensors have the names of the model's state dict, so any safetensors tool can read them. The
metadata holds the configuration under `keras_config`. The optimizer's variables are the tensors
`__optimizer__.0`, `__optimizer__.1`, … and files of layers (vocabularies) are byte tensors
`__assets__/…`. Layers are named by number (`dense_7`), so the same model built twice has other
names; `keras_paths` in the metadata gives each tensor's path in `.weights.h5` files, by which they
are matched then.

`load_model` maps the file into memory, and large weights are that memory: nothing is read or
copied before it is used. The mapping is private: the file and other processes never see what
training writes, and processes share what none of them changes. Weights whose order in memory is
another one (kernels of convolutions), or that are on a GPU, are copied, as are all that are loaded
into a model that exists, or from a file object. The file may be deleted, or replaced as all savers
here do it, and the model keeps its weights; but who writes into the file itself, or cuts it short,
changes the weights or ends the program that has it mapped. Where others overwrite files in place,
load from a file object: `load_model(open(path, "rb"))`.

Layout: 8 bytes with the length of the header, the header (JSON: dtype, shape and byte range of each
tensor, metadata), the bytes. Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from typing import IO, Any

import torch

from .assets import new_asset_folder
from .atomic import replacing
from .errors import FileFormatError
from .h5_guard import load_json
from .keras_archive import KERAS_VERSION, build_model, model_json
from .late import late_values, replace
from .walk import load_state, save_state
from .weights_h5 import NO_VALUES

__all__ = [
    "ASSETS",
    "OPTIMIZER",
    "load_safetensors",
    "load_safetensors_weights",
    "open_safetensors",
    "save_safetensors",
    "write_safetensors",
]

OPTIMIZER = "__optimizer__."
ASSETS = "__assets__/"
_ALIGNED = 64
_DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.uint16: "U16",
    torch.int32: "I32",
    torch.uint32: "U32",
    torch.int64: "I64",
    torch.uint64: "U64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
}


# Saving ------------------------------------------------------------------------------------------


def save_safetensors(
    model: Any, file: Any, include_optimizer: bool = True, include_config: bool = True
) -> None:
    """Write a model as one `.safetensors` file.

    Args:
        model: The model.
        file: A path, or a file object opened for writing.
        include_optimizer: Whether to write how it was compiled, and the optimizer's state.
        include_config: Whether to write the configuration; without it the file is weights only.
    """
    tensors, aliases = _state_of(model)
    metadata = {"format": "pt", "keras_version": KERAS_VERSION}
    metadata["keras_paths"] = json.dumps(_keras_paths(model))
    if include_config:
        metadata["keras_config"] = model_json(model, include_optimizer)[0]
    optimizer = getattr(model, "optimizer", None) if include_config and include_optimizer else None
    if optimizer is not None:
        store = _Gathered()
        optimizer.save_own_variables(store)
        tensors.update((OPTIMIZER + key, torch.as_tensor(v)) for key, v in store.items())
    if aliases:
        metadata["aliases"] = json.dumps(aliases)
    if include_config:
        tensors.update(_assets_of(model))
    if hasattr(file, "write"):
        write_safetensors(file, tensors, metadata)
        return
    with replacing(file) as stream:
        write_safetensors(stream, tensors, metadata)


class _Gathered(dict):
    """Arrays that are about to be written."""

    is_of_a_file = True


def _state_of(model: Any) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the state dict with each tensor once, and the further names of shared ones."""
    tensors: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[Any, str] = {}
    for name, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor):
            warnings.warn(f"'{name}' is no tensor and is not saved.", stacklevel=4)
            continue
        key = (
            (value.data_ptr(), value.shape, value.stride(), value.dtype) if value.numel() else name
        )
        if key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            tensors[name] = value
    return tensors, aliases


class _Paths:
    """Notes under which path each tensor is saved."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}

    def entry(self, path: str, name: str | None = None) -> Any:
        paths = self.of

        class Entry(dict):
            def __setitem__(self, key: str, value: Any) -> None:
                paths[id(value)] = f"{path}/vars/{key}"

        return Entry()


def _keras_paths(model: Any) -> dict[str, str]:
    """Return the path in `.weights.h5` files of each tensor in the state dict that has one."""
    state = model.state_dict(keep_vars=True)
    paths = _Paths()
    save_state(model, paths, skip=lambda saveable: saveable is getattr(model, "optimizer", None))
    return {name: paths.of[id(value)] for name, value in state.items() if id(value) in paths.of}


def _assets_of(model: Any) -> dict[str, torch.Tensor]:
    with new_asset_folder() as assets:
        save_state(model, None, assets)
        found = {}
        for name, path in assets.files():
            with open(path, "rb") as asset:
                data = bytearray(asset.read())
            flat = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0)
            found[f"{ASSETS}{name}"] = flat.to(torch.uint8)
        return found


def write_safetensors(
    stream: IO[bytes], tensors: Mapping[str, torch.Tensor], metadata: dict[str, str]
) -> None:
    """Write tensors and text in the format of `.safetensors`.

    Raises:
        ValueError: A tensor has a dtype that the format lacks, or no values.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    # All of 64 bytes first, then widest dtypes first: then every tensor is aligned to its own size,
    # and large ones to what processors read at once.
    names = sorted(
        tensors,
        key=lambda n: (tensors[n].nbytes % _ALIGNED != 0, -tensors[n].element_size(), n),
    )
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in _DTYPES:
            raise ValueError(
                f"'{name}' has dtype {tensor.dtype}, which `.safetensors` cannot hold."
            )
        if tensor.is_meta:
            raise ValueError(NO_VALUES.format(name))
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-(8 + len(encoded)) % _ALIGNED)
    stream.write(len(encoded).to_bytes(8, "little"))
    stream.write(encoded)
    for name in names:
        flat = tensors[name].detach().contiguous().cpu().reshape(-1)
        if flat.numel():
            stream.write(memoryview(flat.view(torch.uint8).numpy()))


# Loading -----------------------------------------------------------------------------------------


class _File:
    """An open `.safetensors` file; tensors are read when they are asked for."""

    def __init__(self, source: Any, handle: Any, path: str, is_mapped: bool) -> None:
        self.source, self.handle, self.size = source, handle, os.path.getsize(path)
        self.map = _Map(path) if is_mapped else None
        self.metadata = dict(handle.metadata() or {})
        self.names = set(handle.keys())
        aliases = self.table("aliases", "table of shared tensors")
        self.aliases = {k: v for k, v in aliases.items() if v in self.names}
        self.hidden: set[str] = set()

    def table(self, key: str, what: str) -> dict[str, str]:
        """Return a table of names in the metadata."""
        table = load_json(self.metadata.get(key, "{}"), self.source, what)
        if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
            raise FileFormatError(
                self.source, f"its {what} is not one of names", fix="get the file again."
            )
        return table

    def keras_paths(self) -> dict[str, str]:
        """Return the path in `.weights.h5` files of each tensor that has one."""
        return self.table("keras_paths", "table of paths")

    def rename(self, own: dict[str, str]) -> None:
        """Give tensors the names that a model has for their paths.

        Args:
            own: The paths of the model's own names.
        """
        stored = self.keras_paths()
        name_of = {path: name for name, path in stored.items() if name in self.names}
        pairs = {name: name_of[path] for name, path in own.items() if path in name_of}
        renamed = set(pairs.values())
        self.aliases = {k: v for k, v in self.aliases.items() if k not in stored} | pairs
        self.hidden = renamed - set(pairs)

    def __contains__(self, name: str) -> bool:
        return name in self.aliases or (name in self.names and name not in self.hidden)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        return tuple(self.handle.get_slice(self.aliases.get(name, name)).get_shape())

    def declared(self, name: str) -> tuple[tuple[int, ...], str, int]:
        """Return a tensor's shape, dtype and bytes without reading it."""
        part = self.handle.get_slice(name)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        dtype = next((dtype for dtype, code in _DTYPES.items() if code == kind), None)
        size = math.prod(shape) * (dtype.itemsize if dtype else 1)
        return shape, str(dtype or kind).removeprefix("torch."), size

    def tensor(self, name: str) -> torch.Tensor:
        """Return a tensor; its memory is the mapped file's."""
        return self.handle.get_tensor(self.aliases.get(name, name))

    def write(self, name: str, target: torch.Tensor) -> None:
        """Overwrite a weight with a tensor of its shape, or let it be the tensor's memory."""
        if self.map is not None:
            values = self.map.tensor(self.aliases.get(name, name), target)
            if values is not None and replace(target, values):
                return
        with torch.no_grad():
            target.copy_(self.tensor(name))

    def weights(self) -> list[str]:
        """Return the names that belong to the state dict."""
        own = {n for n in self.names - self.hidden if not n.startswith((OPTIMIZER, ASSETS))}
        return sorted(own | set(self.aliases))


class _Map:
    """The bytes of a checked file in memory of which changes stay private to the process.

    Args:
        path: The file; `safe_open` has found that its header is right.
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self.start = 8 + length
            self.header = load_json(file.read(length), path, "header")
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def tensor(self, name: str, like: torch.Tensor) -> torch.Tensor | None:
        """Return a tensor, if it is one of the shape and dtype of `like`, and aligned to it."""
        entry = self.header[name]
        start = self.start + entry["data_offsets"][0]
        same = entry["dtype"] == _DTYPES.get(like.dtype) and entry["shape"] == list(like.shape)
        if not same or start % like.element_size() or not like.numel():
            return None
        flat = torch.frombuffer(self.bytes, dtype=like.dtype, count=like.numel(), offset=start)
        return flat.view(like.shape)


class _Optimizer(Mapping):
    """The variables of an optimizer in a file."""

    def __init__(self, opened: _File) -> None:
        self.opened = opened
        self.names = {n[len(OPTIMIZER) :]: n for n in opened.names if n.startswith(OPTIMIZER)}

    def __getitem__(self, key: str) -> torch.Tensor:
        return self.opened.tensor(self.names[key]).clone()  # an optimizer may keep it

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def read_into(self, key: str, variable: torch.Tensor) -> bool:
        """Overwrite a variable without a copy in between; return whether its shape is right."""
        name = self.names.get(key)
        if name is None or self.opened.shape(name) != tuple(variable.shape):
            return False
        self.opened.write(name, variable)
        return True


@contextlib.contextmanager
def open_safetensors(file: Any, is_mapped: bool = False) -> Iterator[_File]:
    """Open a `.safetensors` file, or the bytes of one, for reading.

    Args:
        file: A path, or a file object opened for reading.
        is_mapped: Whether new weights may be the memory of a file with a path.

    Raises:
        FileFormatError: It is incomplete or damaged.
    """
    from safetensors import SafetensorError, safe_open

    with contextlib.ExitStack() as stack:
        path = file
        if hasattr(file, "read"):
            copy = stack.enter_context(tempfile.NamedTemporaryFile())
            copy.write(file.read())
            copy.flush()
            path = copy.name
        try:
            handle = stack.enter_context(safe_open(os.fspath(path), framework="pt", device="cpu"))
            # Windows would let nobody replace the file.
            is_mapped &= path is file and os.name != "nt" and sys.byteorder == "little"
            opened = _File(file, handle, os.fspath(path), is_mapped)
        except (SafetensorError, OSError) as error:
            raise FileFormatError(
                file,
                f"the safetensors data is incomplete or damaged ({error})",
                fix="copy or download the file again, or go back to an earlier checkpoint.",
            ) from error
        yield opened


def load_safetensors(
    file: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a whole model from a `.safetensors` file.

    Args:
        file: A path, or a file object opened for reading.
        custom_objects: Classes and functions by the names the file has for them.
        compile: Whether to compile the model as it was.
        safe_mode: Refuse byte code and configurations out of proportion to the weights.

    Raises:
        FileFormatError: The file is damaged, hostile, or has no model in it.
    """
    with open_safetensors(file, is_mapped=True) as opened, late_values() as late:
        if "keras_config" not in opened.metadata:
            raise FileFormatError(
                file,
                "it holds weights but no model",
                fix="build the model in code and use `model.load_weights(path)`.",
            )
        config = load_json(opened.metadata["keras_config"], file)
        model = build_model(file, config, opened.size, custom_objects, compile, safe_mode, late)
        with late.watching():
            _load_assets(model, opened)
            _copy_state(model, opened, skip_mismatch=False)
            _load_optimizer(model, opened)
    return model


def load_safetensors_weights(
    model: Any, file: Any, *, skip_mismatch: bool = False, mapping: Mapping[str, Any] | None = None
) -> None:
    """Read the weights of a `.safetensors` file into a model whose state dict has the same names.

    Args:
        model: A built model.
        file: A path, or a file object opened for reading.
        skip_mismatch: Warn about what does not fit, and leave it as it is.
        mapping: What other names, or names and permutations of axes, weights have in the file.

    Raises:
        FileFormatError: The file is damaged, or does not fit the model.
        ValueError: `mapping` has a name that is not the model's, or no permutation.
    """
    with open_safetensors(file) as opened:
        if mapping is not None:
            _copy_mapped(model, opened, mapping, skip_mismatch)
            return
        _copy_state(model, opened, skip_mismatch)
        _load_optimizer(model, opened)


def _copy_state(model: Any, opened: _File, skip_mismatch: bool) -> None:
    # Variables themselves: a detached one would count as a look at its values.
    state = model.state_dict(keep_vars=True)
    state = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if set(opened.weights()) != set(state):
        opened.rename(_keras_paths(model))
    missing = sorted(name for name in state if name not in opened)
    unknown = [name for name in opened.weights() if name not in state]
    shapes = {
        name: (tuple(value.shape), opened.shape(name))
        for name, value in state.items()
        if name in opened and tuple(value.shape) != opened.shape(name)
    }
    if missing or unknown or shapes:
        error = _mismatch(opened.source, missing, unknown, shapes)
        if not skip_mismatch:
            raise error
        warnings.warn(f"Skipped what does not fit the model.\n{error}", stacklevel=4)
    done = set()
    for name, target in state.items():
        pair = (id(target), opened.aliases.get(name, name))
        if name in opened and name not in shapes and pair not in done:
            done.add(pair)
            opened.write(name, target)
    _finalize(model)


def _copy_mapped(
    model: Any, opened: _File, mapping: Mapping[str, Any], skip_mismatch: bool
) -> None:
    """Copy tensors that have other names, and perhaps another order of axes."""
    state = model.state_dict(keep_vars=True)
    strangers = sorted(set(mapping) - set(state))
    if strangers:
        raise ValueError(
            f"`mapping` has names that are none of the model's: {strangers[:8]}.\nFix: its keys are"
            f" those of `model.state_dict()`, such as {sorted(state)[:4]}."
        )
    missing, shapes, found = [], {}, {}
    for name, target in state.items():
        stored = mapping.get(name, name)
        stored, axes = (stored, None) if isinstance(stored, str) else stored
        if stored not in opened:
            missing.append(stored)
            continue
        shape = opened.shape(stored)
        if axes is not None:
            if sorted(axes) != list(range(len(shape))):
                raise ValueError(f"`mapping` turns '{stored}' of shape {shape} by {axes}.")
            shape = tuple(shape[axis] for axis in axes)
        if shape != tuple(target.shape):
            shapes[name] = (tuple(target.shape), shape)
        else:
            found[name] = (target, stored, axes)
    if missing or shapes:
        error = _mismatch(opened.source, missing, [], shapes)
        if not skip_mismatch:
            raise error
        warnings.warn(f"Skipped what does not fit the model.\n{error}", stacklevel=4)
    with torch.no_grad():
        for target, stored, axes in found.values():
            tensor = opened.tensor(stored)
            target.copy_(tensor if axes is None else tensor.permute(*axes))
    _finalize(model)


def _finalize(model: Any) -> None:
    for module in model.modules():
        if hasattr(module, "finalize_state"):
            module.finalize_state()


def _mismatch(
    source: Any,
    missing: list[str],
    unknown: list[str],
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]],
) -> FileFormatError:
    fix = (
        "load it into a model with the same layers under the same names, or pass"
        " `skip_mismatch=True` to load what fits."
    )
    if shapes:
        name, (expected, given) = next(iter(shapes.items()))
        problem = f"variable '{name}' has another shape in the file"
        return FileFormatError(source, problem, fix=fix, expected=expected, given=given)
    return FileFormatError(
        source,
        "its tensors are not those of the model",
        fix=fix,
        missing_in_the_file=missing[:8] or "none",
        unknown_to_the_model=unknown[:8] or "none",
    )


def _load_optimizer(model: Any, opened: _File) -> None:
    optimizer = getattr(model, "optimizer", None)
    store = _Optimizer(opened)
    if optimizer is not None and len(store):
        optimizer.load_own_variables(store)


def _load_assets(model: Any, opened: _File) -> None:
    names = [name for name in opened.names if name.startswith(ASSETS)]
    if not names:
        return
    with new_asset_folder() as assets:
        for name in names:
            path, _, file_name = name[len(ASSETS) :].rpartition("/")
            try:
                if not file_name or file_name in (".", "..") or set(file_name) & set("\\:"):
                    raise ValueError("no file can have this name")
                folder = assets.make(path)
            except ValueError as error:
                raise FileFormatError(
                    opened.source,
                    f"the asset name {name!r} is invalid",
                    fix="no saver writes such a file; get the model from a source you trust.",
                ) from error
            with open(os.path.join(folder, file_name), "wb") as asset:
                asset.write(opened.tensor(name).numpy().tobytes())
        load_state(model, None, assets, source=opened.source)
