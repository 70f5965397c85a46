"""Mutated model files: whatever the bytes are, loading gives a model or a `FileFormatError`.

`python -m tests.saving.fuzz --seconds 600` loads as many as it can and prints what came of them;
`--cases 100000` loads so many; `--case 1234` shows one, with its traceback. Case *n* is the same
file on every machine. Each runs in a child that the parent watches: a crash, a hang, a foreign
exception, a file opened outside, a connection, a started program and memory beyond the stated
multiple (`memory_limit`) count as failures, and the status is then 1.

Mutations know the formats: bytes are changed, but also values in the JSON of an archive whose
checksums are then right again, attributes of HDF5 files, and headers of safetensors.

`--atheris FOLDER` lets the coverage-guided fuzzer of that name choose the bytes instead, from the
same files, if it is installed; its corpus goes to the folder.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import io
import json
import logging
import mmap
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import types
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import h5py
import numpy as np
import torch
import torch._dynamo  # some kernels without data import it, and it sets where it caches

import torchkeras as keras
from tests.saving import tf_files
from torchkeras.registry import registered_paths
from torchkeras.saving import (
    FileFormatError,
    budget,
    h5_guard,
    late,
    load_model,
    object_graph,
    sstable,
    wire,
)
from torchkeras.saving.inspection import inspect_file, report

__all__ = [
    "FORMATS",
    "OUTCOMES",
    "judge",
    "judge_case",
    "main",
    "make_case",
    "memory_limit",
    "run_cases",
]

FORMATS = ("keras", "h5", "safetensors", "weights.h5", "tf_keras.keras", "tf_keras.h5", "shards")
FORMATS += ("ckpt", "tf")  # whose cases are archives of the files in their folders
CHECKPOINTS = pathlib.Path(__file__).parent / "data" / "tf_checkpoints.zip"
GENUINE = pathlib.Path(__file__).parent / "data" / "tf_keras_2_15.zip"
SECONDS_LIMIT = 30.0  # of the processor for one case; what is slower counts as a hang
ADDRESS_SPACE = 12 << 30


def memory_limit(size: int) -> int:
    """Return how many bytes loading a file of a size may take at most."""
    return (1 << 29) + 200 * size


# The files that are mutated ----------------------------------------------------------------------


def mlp() -> Any:
    """A sequential model whose optimizer has its variables."""
    L = keras.layers
    model = keras.Sequential(
        [
            L.Input((4,)),
            L.Dense(8, "relu"),
            L.BatchNormalization(),
            L.Lambda(keras.activations.tanh),
            L.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


def graph() -> Any:
    """A functional model with branches, shared and nested layers, operations and vocabularies."""
    L = keras.layers
    tokens, image = keras.Input((6,), dtype="int32"), keras.Input((8, 8, 2))
    x = L.Embedding(10, 8, mask_zero=True)(tokens)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 3)(x, x))
    y = L.Conv2D(3, 3, strides=2, kernel_regularizer="l2")(L.RandomFlip()(image))
    y = L.Reshape((9, 3))(y)
    shared = L.TimeDistributed(keras.Sequential([L.Input((3,)), L.Dense(4)]))
    y = L.Concatenate(axis=1)([shared(y), shared(y * 2.0)])
    joined = L.Concatenate()([L.GlobalAveragePooling1D()(x), L.Flatten()(y)])
    out = L.Softmax()(L.Dense(3)(keras.ops.squeeze(keras.ops.expand_dims(joined, 1), 1)))
    words = L.StringLookup(vocabulary=["a", "b"])
    vectors = L.TextVectorization(vocabulary=["c", "d"], output_mode="tf_idf", idf_weights=[1, 2])
    model = keras.Model({"t": tokens, "i": image}, out)
    model.words, model.vectors = words, vectors
    model.compile("sgd", "categorical_crossentropy")
    return model


@functools.cache
def originals() -> dict[str, list[bytes]]:
    """Return the files of each format."""
    found: dict[str, list[bytes]] = {name: [] for name in FORMATS}
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in (mlp(), graph()):
            for name in ("keras", "h5", "safetensors"):
                path = pathlib.Path(folder) / f"m.{name}"
                model.save(path)
                found[name].append(path.read_bytes())
        model = mlp()
        path = pathlib.Path(folder) / "m.weights.h5"
        model.save_weights(path)
        found["weights.h5"].append(path.read_bytes())
        path = pathlib.Path(folder) / "m.weights.json"
        model.save_weights(path, max_shard_size=2e-7)
        found["shards"].append(path.read_bytes())
    with zipfile.ZipFile(GENUINE) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".h5", ".keras")):
                found["tf_keras.h5" if name.endswith("h5") else "tf_keras.keras"].append(
                    archive.read(name)
                )
    with zipfile.ZipFile(CHECKPOINTS) as archive:
        for folder in ("new", "old"):
            names = [name for name in archive.namelist() if name.startswith(f"{folder}/ckpt.")]
            files = {name.rpartition("/")[2]: archive.read(name) for name in names}
            found["ckpt"].append(packed(files))
            found["tf"].append(packed(saved_model(files, folder == "old")))
    return found


def packed(files: dict[str, bytes]) -> bytes:
    """Return files as one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files in such a one."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def saved_model(files: dict[str, bytes], old: bool) -> dict[str, bytes]:
    """Return the files of a SavedModel that has the weights of a checkpoint."""
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 2], "name": "x"}},
        {"class_name": "Dense", "config": {"name": "a", "units": 3, "activation": "relu"}},
        {"class_name": "BatchNormalization", "config": {"name": "b", "axis": [1]}},
        {"class_name": "Dense", "config": {"name": "c", "units": 1, "activation": "linear"}},
    ]
    optimizer = {"class_name": "Adam", "config": {"learning_rate": 0.01}}
    about = {
        "class_name": "Sequential",
        "config": {"name": "m", "layers": layers},
        "is_graph_network": True,
        "keras_version": "2.15.0",
        "training_config": {"loss": "mse", "metrics": ["mae"], "optimizer_config": optimizer},
    }
    with tempfile.TemporaryDirectory() as folder:
        tf_files.write_saved_model(folder, tf_files.Node(), about, old=old)
        root = pathlib.Path(folder)
        made = {p.name: p.read_bytes() for p in root.iterdir() if p.is_file()}
    return made | {
        f"variables/{name.replace('ckpt', 'variables')}": data for name, data in files.items()
    }


# Mutations ---------------------------------------------------------------------------------------

Draw = random.Random
Make = Callable[[int], tuple[str, bytes]]  # of the number of a case: its kind and the file
NUMBERS = (0, 1, -1, 2, 7, 127, 255, 1 << 16, 10**6, 10**9, 1 << 31, 1 << 40, 1 << 62, 10**18)
STRINGS = ("", "..", "../../x", "/etc/passwd", "http://localhost:1/x", "\x00", "é" * 40, "x" * 5000)
STRINGS += ("float16", "complex64", "U100000000", "object", "channels_first", "same", "os.system")
STRINGS += ("eval", "keras.utils.get_file", "torch.load", "relu", "Dense", "Functional", "dense")
PLAIN = (None, True, False, 0.5, -1.5, float("nan"), float("inf"), [], {}, [None], [[1, 2], 3])


@functools.cache
def paths() -> list[str]:
    """Return what a configuration may name."""
    return sorted(path for path, _ in registered_paths())


def value(draw: Draw) -> Any:
    """Return something that may stand in a configuration, or rather not."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.choice(PLAIN)
    if kind == 1:
        return draw.choice(NUMBERS)
    if kind == 2:
        return draw.choice(STRINGS)
    if kind == 3:
        return [draw.choice(NUMBERS) for _ in range(draw.randrange(1, 5))]
    if kind == 4:
        deep: Any = 1
        for _ in range(draw.choice([3, 150, 5000])):
            deep = [deep] if draw.random() < 0.5 else {"config": deep, "class_name": "Dense"}
        return deep
    module, _, name = draw.choice(paths()).rpartition(".")
    inner = {"name": "x"} if draw.random() < 0.5 else {}
    return {"module": module, "class_name": name, "config": inner, "registered_name": None}


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Return every place in JSON, as the container and the key."""
    found, queue = [], [tree]
    while queue:
        at = queue.pop()
        pairs = at.items() if isinstance(at, dict) else enumerate(at)
        for key, child in pairs:
            found.append((at, key))
            if isinstance(child, (dict, list)):
                queue.append(child)
    return found


def mutate_json(text: bytes, draw: Draw) -> bytes:
    """Change values, keys or whole parts of JSON; sometimes break it."""
    if draw.random() < 0.05:
        return mutate_bytes(text, draw)
    try:
        tree = json.loads(text)
    except ValueError:
        return mutate_bytes(text, draw)
    if not isinstance(tree, (dict, list)):
        tree = [tree]
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        places = nodes(tree)
        if not places:
            break
        at, key = draw.choice(places)
        kind = draw.randrange(8)
        if kind == 0:
            del at[key]
        elif kind == 1:
            other, other_key = draw.choice(places)
            with contextlib.suppress(LookupError, RecursionError):  # deleted, or deep
                at[key] = json.loads(json.dumps(other[other_key]))
        elif kind == 2 and isinstance(at, dict):
            at[draw.choice([*STRINGS, "config", "class_name", "module"])] = at.pop(key)
        elif kind == 3 and isinstance(at, list):
            at.extend([at[key]] * draw.choice([1, 3, 1000 if len(places) < 1000 else 1]))
        elif kind == 4 and isinstance(at[key], (int, float)):
            at[key] = draw.choice(NUMBERS)
        elif kind == 5 and isinstance(at[key], str):
            at[key] = draw.choice([*STRINGS, draw.choice(paths()).rpartition(".")[2]])
        else:
            at[key] = value(draw)
    return dumps(tree).encode()


def dumps(tree: Any) -> str:
    """Write JSON, also of a depth that Python's own writer refuses."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(60_000)
    try:
        return json.dumps(tree)
    except RecursionError:
        return "[" * 100_000
    finally:
        sys.setrecursionlimit(limit)


def mutate_bytes(data: bytes, draw: Draw) -> bytes:
    """Change, cut out, double or insert bytes, and numbers of four and eight bytes."""
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        if not changed:
            break
        # Half of the places are where headers are.
        at = draw.randrange(len(changed) if draw.random() < 0.5 else min(len(changed), 3000))
        kind = draw.randrange(8)
        if kind == 0:
            del changed[at:]
        elif kind == 1:
            del changed[at : at + draw.choice([1, 8, 200])]
        elif kind == 2:
            changed[at:at] = changed[at : at + draw.choice([1, 8, 200])]
        elif kind == 3:
            changed[at : at + 16] = bytes(16)
        elif kind == 4:
            width = draw.choice("<I <Q >I".split())
            number = struct.pack(width, draw.choice(NUMBERS) % 2 ** (8 * struct.calcsize(width)))
            changed[at : at + len(number)] = number
        else:
            changed[at] = draw.choice([0, 255, changed[at] ^ 1, draw.randrange(256)])
    return bytes(changed)


def mutate_zip(data: bytes, draw: Draw) -> bytes:
    """Change members of an archive, whose directory and checksums are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = [(name, source.read(name)) for name in source.namelist()]
    victim = draw.choice([name for name, _ in members] + ["config.json"] * 4)
    method = draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(out, "w", method) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            if name == victim:
                mutate = mutate_h5 if name.endswith(".h5") else mutate_json
                content = mutate(content, draw)
                if draw.random() < 0.05:
                    name = draw.choice([s for s in STRINGS if s and "\x00" not in s])
            target.writestr(name, content)
            if draw.random() < 0.01:
                target.writestr(name, content)
    return out.getvalue()


def mutate_h5(data: bytes, draw: Draw) -> bytes:
    """Change what an HDF5 file contains, or its bytes."""
    if draw.random() < 0.5:
        return mutate_bytes(data, draw)
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, node: items.append(node))
        for _ in range(draw.choice([1, 1, 3])):
            with contextlib.suppress(KeyError, RuntimeError, ValueError, TypeError, OSError):
                _mutate_node(file, draw.choice(items), draw)
    return stream.getvalue()


def _mutate_node(file: Any, node: Any, draw: Draw) -> None:
    if not node:  # deleted before
        return
    attributes = list(node.attrs)
    if attributes and draw.random() < 0.6:
        name = draw.choice(attributes)
        old = node.attrs[name]
        if name.endswith("_config") and draw.random() < 0.9:
            text = old.encode() if isinstance(old, str) else bytes(old)
            node.attrs[name] = np.bytes_(mutate_json(text, draw)[:60_000])
        elif draw.random() < 0.3:
            del node.attrs[name]
        else:
            options = [b"x", 3, 1e300, [b"a", b"b"], np.zeros((3, 4)), h5py.Empty("f4"), "é"]
            node.attrs[name] = draw.choice(options)
        return
    parent, name = node.parent, node.name.rpartition("/")[2]
    if not name:
        return
    kind = draw.randrange(7)
    if kind == 0 or isinstance(node, h5py.Group):
        target = draw.choice([h5py.SoftLink("/"), h5py.ExternalLink("/etc/x.h5", "/"), None, file])
        del parent[name]
        if target is not None:
            parent[name] = target
        return
    shape = draw.choice([(), (0,), (3,), (1 << 30,), (2, 2, 2), node.shape])
    dtype = draw.choice(["f2", "f8", ">f4", "i1", "?", "c8", "S5", h5py.string_dtype(), node.dtype])
    del parent[name]
    options = {"chunks": True, "compression": "gzip"} if shape and draw.random() < 0.5 else {}
    if 0 in shape:
        options = {}
    parent.create_dataset(name, shape, dtype, **options)


def mutate_safetensors(data: bytes, draw: Draw) -> bytes:
    """Change the header, the configuration in it, or any bytes."""
    if draw.random() < 0.3:
        return mutate_bytes(data, draw)
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    if draw.random() < 0.5:
        header = mutate_json(header, draw)
    else:
        tree = json.loads(header)
        metadata = tree["__metadata__"]
        name = draw.choice(["keras_config"] * 3 + list(metadata))
        metadata[name] = mutate_json(metadata[name].encode(), draw).decode("utf-8", "replace")
        header = json.dumps(tree).encode()
    size = len(header) if draw.random() < 0.95 else draw.choice(NUMBERS) % (1 << 63)
    return struct.pack("<Q", size) + header + body


def mutate_folder(data: bytes, draw: Draw) -> bytes:
    """Change a file of a folder; of checkpoints also what has checksums, which are right again."""
    files = unpacked(data)
    name = draw.choice(sorted(files))
    if name.endswith(".index") and draw.random() < 0.8:
        files[name] = _mutate_index(files[name], draw)
    elif ".data-" in name and draw.random() < 0.8:
        index = f"{name.partition('.data-')[0]}.index"
        files[index], files[name] = _mutate_graph(files[index], files[name], draw)
    elif name == "keras_metadata.pb" and draw.random() < 0.9:
        entry = list(wire.parts_of(next(wire.messages(files[name], 1))))
        parts = [(n, mutate_json(v, draw) if n == 5 else v) for n, v in entry]
        files[name] = wire.field(1, b"".join(wire.field(n, v) for n, v in parts))
    else:
        files[name] = mutate_bytes(files[name], draw)
    return packed(files)


def _mutate_index(data: bytes, draw: Draw) -> bytes:
    entries = list(sstable.read_table(data, "index").items())
    for _ in range(draw.choice([1, 1, 3])):
        place = draw.randrange(len(entries))
        key, value = entries[place]
        entries[place] = (key, mutate_bytes(value, draw))
    return tf_files.table(entries)


def _mutate_graph(index: bytes, data: bytes, draw: Draw) -> tuple[bytes, bytes]:
    """Change the graph of objects; its place is at the end then."""
    entries = sstable.read_table(index, "index")
    key = object_graph.GRAPH_KEY.encode()
    parts = dict(wire.parts_of(entries[key]))
    text = data[parts.get(4, 0) :][: parts[5]]
    size, start = wire.read_varint(text, 0)
    number, shape, content, crc = tf_files.tensor(
        mutate_bytes(text[start + 4 : start + 4 + size], draw)
    )
    entries[key] = tf_files.entry(number, shape, len(data), len(content), crc)
    return tf_files.table(entries.items()), data + content


MUTATIONS: dict[str, Callable[[bytes, Draw], bytes]] = {
    "keras": lambda data, draw: (mutate_zip if draw.random() < 0.8 else mutate_bytes)(data, draw),
    "h5": mutate_h5,
    "safetensors": mutate_safetensors,
    "weights.h5": mutate_h5,
    "shards": mutate_json,
    "ckpt": mutate_folder,
    "tf": mutate_folder,
}


def make_case(number: int) -> tuple[str, bytes]:
    """Return the format and the bytes of a case."""
    draw = random.Random(number)
    kind = FORMATS[number % len(FORMATS)]
    data = draw.choice(originals()[kind])
    return kind, MUTATIONS[kind.removeprefix("tf_keras.")](data, draw)


# Loading them ------------------------------------------------------------------------------------


@functools.cache
def receiver() -> Any:
    """Return the model that weights are loaded into."""
    return mlp()


@functools.cache
def shard_folder() -> str:
    """Return a folder with the parts of sharded weights."""
    folder = tempfile.mkdtemp()
    mlp().save_weights(pathlib.Path(folder) / "m.weights.json", max_shard_size=2e-7)
    return folder


def load(kind: str, data: bytes) -> None:
    """Load the bytes as users would."""
    if kind == "shards":
        receiver().load_weights(write("m.weights.json", data))
        return
    if kind in ("ckpt", "tf"):
        folder = write_folder(data)
        with as_large() if sum(data) % 2 else contextlib.nullcontext():
            if kind == "tf":
                load_model(folder)
            else:
                small().load_weights(folder / "ckpt")
        return
    # Half of them as a file with a path, and as one of large weights, which is read in other ways.
    is_large = sum(data) % 2 == 1
    with as_large() if is_large else contextlib.nullcontext():
        file = write("m.file", data) if is_large else io.BytesIO(data)
        receiver().load_weights(file) if kind == "weights.h5" else load_model(file)


@contextlib.contextmanager
def as_large() -> Iterator[None]:
    """Let weights of any size be read in place, into memory that has no values yet, or mapped."""
    sizes = ((budget, "_IN_MEMORY"), (h5_guard, "_DIRECT_FROM"), (late, "_FROM_BYTES"))
    with contextlib.ExitStack() as stack:
        for module, name in sizes:
            stack.enter_context(mock.patch.object(module, name, 16))
        yield


def write(name: str, data: bytes) -> pathlib.Path:
    """Write a new file beside the parts of sharded weights."""
    path = pathlib.Path(shard_folder()) / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)  # a former model may still have it mapped
    path.write_bytes(data)
    return path


@functools.cache
def small() -> Any:
    """Return the model that checkpoints are loaded into."""
    L = keras.layers
    model = keras.Sequential([L.Input((2,)), L.Dense(3), L.BatchNormalization(), L.Dense(1)])
    model.compile("adam", "mse")
    return model


def write_folder(data: bytes) -> pathlib.Path:
    """Write the files in an archive to a new folder."""
    folder = pathlib.Path(shard_folder()) / "m.file"
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.unlink(missing_ok=True)
    for name, content in unpacked(data).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def look(kind: str, data: bytes) -> None:
    """Look at the bytes as `torchkeras inspect` does, which wants a file."""
    if kind in ("ckpt", "tf"):
        folder = write_folder(data)
        report(inspect_file(folder if kind == "tf" else folder / "ckpt"))
        return
    report(inspect_file(write("m.weights.json" if kind == "shards" else "m.file", data)))


ALLOWED = (sys.prefix, sys.base_prefix, tempfile.gettempdir(), "/proc/self", "/sys", "/dev/null")
ALLOWED += (str(pathlib.Path(keras.__file__).parents[1]),)
ALLOWED += tuple(os.path.realpath(path) for path in ALLOWED)
FORBIDDEN = ("socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
FORBIDDEN += ("pickle.find_class", "urllib.Request", "ctypes.dlopen", "os.fork", "os.putenv")
OUTCOMES = ("loaded", "refused")
watching: list[list[str]] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what a load does beyond reading the file it was given."""
    if not watching:
        return
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith(ALLOWED):
            watching[-1].append(f"opened {path}")
    elif event in FORBIDDEN:
        watching[-1].append(f"{event}{arguments[:2]!r}"[:200])


@functools.cache
def install_watch() -> None:
    """Let Python report what is opened and started; this cannot be undone."""
    sys.addaudithook(watch)


def judge(kind: str, data: bytes, run: Callable[[str, bytes], None] = load) -> tuple[str, str]:
    """Load a file; return "loaded", "refused" or what failed, and details."""
    install_watch()
    deeds: list[str] = []
    state = settings()
    before = reset_peak()
    watching.append(deeds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(kind, data)
        result, detail = "loaded", ""
    except FileFormatError as error:
        result, detail = "refused", str(error)
        named = any(name in detail for name in ("<BytesIO>", "m.weights.json", "m.file"))
        if len(detail) > 20_000 or not named:
            result, detail = "message", detail[:300]
    except BaseException:  # noqa: BLE001 - the point
        result, detail = "exception", traceback.format_exc()
    finally:
        watching.pop()
    if deeds:
        return "deed", "; ".join(deeds)
    taken = peak() - before
    if before and taken > memory_limit(len(data)):
        return "memory", f"{taken >> 20} MB for {len(data)} bytes ({result})"
    if settings() != state:
        return "settings", f"{state} became {settings()}"
    return result, detail


def settings() -> tuple[Any, ...]:
    """Return what a file may not change."""
    config = keras.config
    return (
        config.floatx(),
        config.epsilon(),
        config.image_data_format(),
        keras.dtype_policies.DTypePolicy(config.dtype_policy().name).name,
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        sys.getrecursionlimit(),
        os.getcwd(),
        len(keras.saving.get_custom_objects()),
    )


def reset_peak() -> int:
    """Begin to measure the peak of memory; return what is used now, or 0 where one cannot."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return 0
    return _memory("VmRSS")


def peak() -> int:
    """Return the most memory used since then."""
    return _memory("VmHWM")


def _memory(name: str) -> int:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) << 10


# The command -------------------------------------------------------------------------------------


def worker(numbers: Iterable[int], make: Make, shared: mmap.mmap, reports: Any) -> None:
    """Judge cases, saying in shared memory which one it is at."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    torch.set_num_threads(1)
    logging.disable()
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - to the end
    for number in numbers:
        kind, data = make(number)
        shared[:] = struct.pack("<qdd", number, time.monotonic(), time.process_time())
        reports.put((number, kind, *judge_case(kind, data)))
    shared[:8] = struct.pack("<q", -2)


def judge_case(kind: str, data: bytes) -> tuple[str, str]:
    """Load a file, and look at it as `torchkeras inspect` does; return what failed, if anything."""
    result, detail = judge(kind, data)
    if result in OUTCOMES:
        looked, found = judge(kind, data, look)
        if looked not in OUTCOMES:
            return looked, f"inspecting: {found}"
    return result, detail


def is_stuck(child: Any, wall: float, processor: float) -> bool:
    """Tell whether a child takes too long for its case, whatever else the machine does."""
    if time.monotonic() - wall > 20 * SECONDS_LIMIT:
        return True
    try:
        with open(f"/proc/{child.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:  # no Linux, or no child any more
        return False
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") - processor > SECONDS_LIMIT


def run_cases(start: int, stop: int, seconds: float, make: Make = make_case) -> collections.Counter:
    """Judge cases in a child, which is replaced if it dies; print failures; return the counts."""
    counts: collections.Counter = collections.Counter()
    context = multiprocessing.get_context("fork")
    shared = mmap.mmap(-1, 24)
    deadline = time.monotonic() + seconds
    originals(), receiver(), shard_folder()
    while start < stop and time.monotonic() < deadline:
        shared[:] = struct.pack("<qdd", -1, time.monotonic(), 0.0)
        reports = context.SimpleQueue()
        child = context.Process(target=worker, args=(range(start, stop), make, shared, reports))
        child.start()
        failed = None
        while True:
            while not reports.empty():
                start = note(counts, *reports.get()) + 1
            at, wall, processor = struct.unpack("<qdd", shared[:])
            if not child.is_alive():
                child.join()
                while not reports.empty():
                    start = note(counts, *reports.get()) + 1
                if child.exitcode > 0:
                    raise RuntimeError(f"case {at}: the harness itself failed")
                if child.exitcode < 0:
                    failed = "crash", f"it died of {signal.Signals(-child.exitcode).name}"
                break
            if at >= 0 and is_stuck(child, wall, processor):
                failed = "hang", f"longer than {SECONDS_LIMIT} s"
            if failed or time.monotonic() > deadline:
                child.kill()
                child.join()
                break
            time.sleep(0.05)
        if failed:
            start = note(counts, max(at, start), make(max(at, start))[0], *failed) + 1
        elif time.monotonic() < deadline:
            break
    return counts


def note(counts: collections.Counter, number: int, kind: str, result: str, detail: str) -> int:
    """Count a result, and print it if it is a failure."""
    counts[kind, result] += 1
    if sum(counts.values()) % 10_000 == 0:
        print(f"{sum(counts.values())} files so far", file=sys.stderr, flush=True)
    if result not in OUTCOMES:
        last = detail.strip().splitlines()[-1:] or [""]
        where = [line.strip() for line in detail.splitlines() if line.startswith("  File")][-2:]
        print(f"case {number} ({kind}): {result}: {last[0]} {where}", flush=True)
    return number


def main(argv: list[str] | None = None) -> int:
    """Carry out a command line; return its status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cases", type=int, default=1 << 40, help="how many at most")
    parser.add_argument("--start", type=int, default=0, help="the first case")
    parser.add_argument("--case", type=int, help="show one")
    parser.add_argument("--atheris", metavar="FOLDER", help="guided by coverage")
    options = parser.parse_args(argv)
    if options.atheris:
        return fuzz_with_atheris(options.atheris, int(options.seconds))
    if options.case is not None:
        kind, data = make_case(options.case)
        print(kind, len(data), *judge_case(kind, data), sep="\n")
        return 0
    begin = time.monotonic()
    counts = run_cases(options.start, options.start + options.cases, options.seconds)
    results = sorted({result for _, result in counts}, key=lambda r: (r not in OUTCOMES, r))
    print(f"{'format':15}", *(f"{r:>10}" for r in results))
    for kind in FORMATS:
        print(f"{kind:15}", *(f"{counts[kind, r]:10}" for r in results))
    failures = sum(n for (_, r), n in counts.items() if r not in OUTCOMES)
    took = time.monotonic() - begin
    print(f"{sum(counts.values())} files in {took:.0f} s, {failures} failures")
    return int(failures > 0)


def fuzz_with_atheris(folder: str, seconds: int) -> int:
    """Let atheris choose the bytes; it ends the process at the first failure."""
    import atheris

    os.makedirs(folder, exist_ok=True)
    for kind, files in originals().items():
        for i, data in enumerate(files):
            (pathlib.Path(folder) / f"{kind}.{i}").write_bytes(data)

    def one(data: bytes) -> None:
        result, detail = judge_case("keras", data)  # whatever they are: content decides
        if result not in OUTCOMES:
            raise AssertionError(f"{result}: {detail}")

    for name, module in list(sys.modules.items()):
        if name.startswith(("torchkeras.saving.", "torchkeras.registry")):
            instrument(atheris.instrument_func, module)
    arguments = [f"-max_total_time={seconds}", "-max_len=100000", "-rss_limit_mb=8000"]
    arguments += [f"-artifact_prefix={folder}{os.sep}", folder]
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()
    return 0


def instrument(change: Callable[[Any], Any], module: Any) -> None:
    """Let a function change the code of all functions and methods that a module defines."""
    items = [item for item in vars(module).values() if hasattr(item, "__module__")]
    items = [item for item in items if item.__module__ == module.__name__]
    items += [method for item in items if isinstance(item, type) for method in vars(item).values()]
    for item in items:
        while hasattr(item, "__wrapped__"):
            item = item.__wrapped__
        if isinstance(item, types.FunctionType):
            change(item)


if __name__ == "__main__":
    sys.exit(main())
