"""Whether windows lie where TensorFlow lays them: every padded layer and op.

    python -m compat_tests.legacy.padding [--only NAME] [--every N]

`tf_keras`, in a process of its own, computes pooling, convolutions of every kind, transposed ones,
patches, borders, enlarged and resized images for sizes 5 to 9, windows 2 to 5, strides 1 to 3 and
dilations 1 to 2. torchkeras computes the same as a layer, in a functional model (batches of it
compiled and exported too), with channels first, and by the op. Compared to 1e-5 of the largest
number. Adaptive pooling, which TensorFlow lacks, is compared with its definition.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["combinations", "main"]

SIZES, WINDOWS, STRIDES, DILATIONS = range(5, 10), range(2, 6), range(1, 4), (1, 2)
TOLERANCE = 1e-5
Combination = tuple[str, dict[str, Any], tuple[int, ...]]


# What is tried -----------------------------------------------------------------------------------


def combinations() -> Iterator[Combination]:
    """Yield names, arguments and shapes of inputs, channels last."""
    for rank in (1, 2, 3):
        for size, window, stride, padding in itertools.product(
            SIZES, WINDOWS, STRIDES, ("same", "valid")
        ):
            if rank == 3 and (size + window) % 2:
                continue  # volumes: every other one
            shape = _shape(size, rank)
            windows = {"strides": stride, "padding": padding}
            for name in ("MaxPooling", "AveragePooling"):
                yield f"{name}{rank}D", {"pool_size": _window(window, rank), **windows}, shape
            for extra in (None, *range(stride)):
                given = {"kernel_size": _window(window, rank), "output_padding": extra, **windows}
                if rank == 1 or extra is None:
                    yield f"Conv{rank}DTranspose", {"filters": 2, **given}, shape
                else:
                    given["output_padding"] = (extra, *(0,) * (rank - 1))
                    yield f"Conv{rank}DTranspose", {"filters": 2, **given}, shape
            if rank < 3:
                name = f"LocallyConnected{rank}D"
                given = {"filters": 2, "kernel_size": _window(window, rank), **windows}
                for way in (1, 2, 3)[padding == "same" :] if size < 8 else ():
                    yield name, {**given, "implementation": way}, shape
            yield from _convolutions(rank, shape, window, stride, padding)
    yield from _images()
    yield from _borders()


def _convolutions(
    rank: int, shape: tuple[int, ...], window: int, stride: int, padding: str
) -> Iterator[Combination]:
    for dilation in DILATIONS:
        if dilation > 1 and stride > 1:
            continue
        given = {"kernel_size": _window(window, rank), "strides": stride, "dilation_rate": dilation}
        for mode in (padding, "causal") if rank == 1 and padding == "valid" else (padding,):
            yield f"Conv{rank}D", {"filters": 4, **given, "padding": mode}, shape
            if rank < 3:
                yield (
                    f"SeparableConv{rank}D",
                    {"filters": 3, "depth_multiplier": 2, **given, "padding": mode},
                    shape,
                )
        if rank < 3:
            deep = {"depth_multiplier": 2, **given, "padding": padding}
            yield f"DepthwiseConv{rank}D", deep, shape
        if shape[1] > 6 or window > 3:
            continue
        yield (
            f"ConvLSTM{rank}D",
            # Keras 2's default is its own hard_sigmoid.
            {"filters": 2, **given, "padding": padding, "recurrent_activation": "sigmoid"},
            (shape[0], 2, *shape[1:]),
        )
    if stride == 1 and rank < 3:  # in volumes tf_keras takes a dilation and leaves it out
        given = {"kernel_size": _window(window, rank), "padding": padding, "dilation_rate": 2}
        yield f"Conv{rank}DTranspose", {"filters": 2, **given}, shape


def _images() -> Iterator[Combination]:
    for size, window, stride, dilation, padding in itertools.product(
        SIZES, WINDOWS, STRIDES, DILATIONS, ("same", "valid")
    ):
        if dilation == 1 or stride == 1:
            given = {"size": window, "strides": stride, "dilation_rate": dilation}
            yield "extract_patches", {**given, "padding": padding}, _shape(size, 2)
    methods = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian",
               "mitchellcubic")  # fmt: skip
    for method in methods:
        for size in SIZES:
            for factor in (1, 2, 3, (2, 3), 5):
                yield "UpSampling2D", {"size": factor, "interpolation": method}, _shape(size, 2)
            for new, crop in itertools.product((2, 3, 4, 5, 7, 9, 13, 20), (False, True)):
                given = {"height": new, "width": 11 - new % 7, "interpolation": method}
                yield "Resizing", {**given, "crop_to_aspect_ratio": crop}, _shape(size, 2)
            for new, antialias in itertools.product((2, 3, 4, 5, 7, 9, 13), (False, True)):
                if method not in ("nearest", "area"):
                    given = {"size": (new, 12 - new), "interpolation": method}
                    yield "resize", {**given, "antialias": antialias}, _shape(size, 2)
    for size, new in itertools.product(SIZES, (1, 2, 3, 4, 5)):
        for rank in (1, 2, 3):
            for kind in ("Average", "Max"):
                yield f"Adaptive{kind}Pooling{rank}D", {"output_size": new}, _shape(size, rank)


def _borders() -> Iterator[Combination]:
    for size, near, far in itertools.product(SIZES, range(3), range(3)):
        for rank in (1, 2, 3):
            ends = (near, far) if rank == 1 else ((near, far), (far, near), (1, 0))[:rank]
            yield f"ZeroPadding{rank}D", {"padding": ends}, _shape(size, rank)
            yield f"Cropping{rank}D", {"cropping": ends}, _shape(size, rank)
            if rank != 2 and near:
                yield f"UpSampling{rank}D", {"size": near + far}, _shape(size, rank)


def _shape(size: int, rank: int) -> tuple[int, ...]:
    return (2, *(size, 14 - size, size)[:rank], 4)


def _window(window: int, rank: int) -> Any:
    return (window, 7 - window, 2)[:rank] if rank > 1 else window


# TensorFlow --------------------------------------------------------------------------------------


def write(path: pathlib.Path, only: str, every: int) -> None:
    """Compute the combinations with `tf_keras`: in a process of its own, without torchkeras."""
    import tensorflow as tf
    import tf_keras

    random, found = np.random.default_rng(0), []
    kept = [c for c in combinations() if only in _title(c)]
    for name, arguments, shape in kept[::every]:
        x = random.normal(size=shape).astype("float32")
        weights: list[np.ndarray] = []
        try:
            if name.startswith("Adaptive"):
                y = _adaptive(x, name, arguments["output_size"])
            elif name == "extract_patches":
                around = [[1, arguments[key], arguments[key], 1] for key in _PATCHES]
                y = tf.image.extract_patches(x, *around, arguments["padding"].upper()).numpy()
            elif name == "resize":
                y = tf.image.resize(
                    x,
                    arguments["size"],
                    arguments["interpolation"],
                    antialias=arguments["antialias"],
                ).numpy()
            else:
                layer = getattr(tf_keras.layers, name)(**arguments)
                layer.build(shape)
                weights = [random.uniform(-1, 1, w.shape) for w in layer.get_weights()]
                layer.set_weights(weights)
                y = layer(x).numpy()
                if 0 in layer.compute_output_shape(shape):
                    y = y[:0]  # eagerly, what TensorFlow gives then is memory of anything
        except Exception as error:  # what it cannot compute here, or refuses
            y = str(error).splitlines()[0][:200]
        found.append(((name, arguments, shape), x, weights, y))
    path.write_bytes(pickle.dumps(found))


_PATCHES = ("size", "strides", "dilation_rate")


def _adaptive(x: np.ndarray, name: str, new: int) -> np.ndarray:
    """Reduce each axis to `new` windows, which overlap where its size is no multiple of it."""
    reduce = np.mean if "Average" in name else np.max
    for axis in range(1, x.ndim - 1):
        old = x.shape[axis]
        ends = [(i * old // new, -(-(i + 1) * old // new)) for i in range(new)]
        x = np.stack([reduce(x.take(range(*end), axis), axis) for end in ends], axis)
    return x


# torchkeras --------------------------------------------------------------------------------------


def compare(path: pathlib.Path, progress: Callable[[str], Any] = print) -> bool:
    """Compute the same with torchkeras, print what differs, and return whether nothing does."""
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    groups: dict[str, list[Any]] = collections.defaultdict(list)
    for combination, x, weights, y in pickle.loads(path.read_bytes()):
        name = combination[0]
        if isinstance(y, str) or y.size == 0:
            counts[name]["refused, or empty"] += 1
            continue
        for way, made in _ways(combination, x, weights):
            wrong = _difference(y, made)
            counts[name][f"{way}: {'DIFFERENT' if wrong else 'same'}"] += 1
            if wrong:
                progress(f"{way} {_title(combination)}: {wrong}")
        groups[name].append((combination, x, weights, y))
    for name, group in groups.items():
        for way, wrong in _whole(group):
            counts[name][f"{way}: {'DIFFERENT' if wrong else 'same'}"] += 1
            if wrong:
                progress(f"{way} {name}: {wrong}")
    for name, counter in counts.items():
        progress(f"{name}: {dict(counter)}")
    total = sum(counts.values(), collections.Counter())
    progress(str(dict(total)))
    return bool(total) and not any("DIFFERENT" in key for key in total)


def _ways(combination: Combination, x: np.ndarray, weights: Any) -> Iterator[tuple[str, Any]]:
    """Yield the ways to compute a combination, and results or errors."""
    import torchkeras as keras

    name, arguments, shape = combination
    if arguments.get("interpolation") == "bicubic":  # as files of Keras 2 are read
        arguments = {**arguments, "interpolation": "keras2_bicubic"}
    rank = len(shape) - 2 - name.startswith("ConvLSTM")
    function = getattr(keras.ops.image, name, None)
    if function is not None:
        last = {"data_format": "channels_last"}
        yield "op", _tried(lambda: function(x, **arguments, **last))
        first = {"data_format": "channels_first"}
        turned = np.moveaxis(x, -1, 1)
        yield "op, first", _tried(lambda: function(turned, **arguments, **first).movedim(1, -1))
        yield "lowered", _lowered(lambda ins: function(ins, **arguments, **last), x)
        return
    layer = _layer(name, arguments, shape, weights)
    yield "layer", layer if isinstance(layer, Exception) else _tried(lambda: layer(x))
    if isinstance(layer, Exception):
        return
    yield "lowered", _lowered(layer, x)
    if not name.startswith(("Cropping1", "UpSampling1", "UpSampling3", "LocallyConnected")):
        axis = 2 if name.startswith("ConvLSTM") else 1
        turned = np.moveaxis(x, -1, axis)
        first = _layer(name, {**arguments, "data_format": "channels_first"}, turned.shape, weights)
        if isinstance(first, Exception):
            yield "first", first
        else:
            yield "first", _tried(lambda: first(turned).movedim(1, -1))
    op = _OPS.get(re.sub(r"[123]D", "", name))
    if op is not None and not isinstance(arguments.get("padding"), tuple):
        yield "op", _tried(lambda: op(keras.ops, x, weights, arguments, rank))


def _lowered(function: Callable[[Any], Any], x: np.ndarray) -> Any:
    import torchkeras as keras

    ins = keras.Input(x.shape[1:])
    return _tried(lambda: keras.Model(ins, function(ins))(x))


def _layer(name: str, arguments: dict[str, Any], shape: Any, weights: Any) -> Any:
    import torchkeras as keras

    def make() -> Any:
        layer = getattr(keras.layers, name)(**arguments)
        layer.build(shape)
        layer.set_weights(weights)
        return layer

    return _tried(make)


def _pool(ops: Any, x: Any, weights: Any, given: dict[str, Any], rank: int, kind: str) -> Any:
    return getattr(ops, kind)(x, given["pool_size"], given["strides"], given["padding"])


def _convolve(ops: Any, x: Any, weights: Any, given: dict[str, Any], rank: int) -> Any:
    kernel, bias = (np.float32(w) for w in weights)
    x, padding = _causal(x, given)
    return ops.conv(x, kernel, given["strides"], padding, None, given["dilation_rate"]) + bias


def _depthwise(ops: Any, x: Any, weights: Any, given: dict[str, Any], rank: int) -> Any:
    kernel, bias = (np.float32(w) for w in weights)
    how = given["strides"], given["padding"], None, given["dilation_rate"]
    return ops.depthwise_conv(x, kernel, *how) + bias


def _separable(ops: Any, x: Any, weights: Any, given: dict[str, Any], rank: int) -> Any:
    deep, point, bias = (np.float32(w) for w in weights)
    x, padding = _causal(x, given)
    how = given["strides"], padding, None, given["dilation_rate"]
    return ops.separable_conv(x, deep, point, *how) + bias


def _transpose(ops: Any, x: Any, weights: Any, given: dict[str, Any], rank: int) -> Any:
    kernel, bias = (np.float32(w) for w in weights)
    how = given.get("strides", 1), given["padding"], given.get("output_padding"), None
    return ops.conv_transpose(x, kernel, *how, given.get("dilation_rate", 1)) + bias


def _causal(x: np.ndarray, given: dict[str, Any]) -> tuple[np.ndarray, str]:
    if given["padding"] != "causal":
        return x, given["padding"]
    before = (given["kernel_size"] - 1) * given["dilation_rate"]
    return np.pad(x, ((0, 0), (before, 0), (0, 0))), "valid"


_OPS: dict[str, Callable[..., Any]] = {
    "MaxPooling": lambda *args: _pool(*args, kind="max_pool"),
    "AveragePooling": lambda *args: _pool(*args, kind="average_pool"),
    "Conv": _convolve,
    "ConvTranspose": _transpose,
    "DepthwiseConv": _depthwise,
    "SeparableConv": _separable,
}


def _whole(group: list[Any]) -> Iterator[tuple[str, str | None]]:
    """Yield how a model of some combinations of a name, one output each, goes compiled, exported.

    One graph of them costs as much to compile as a few alone.
    """
    import torch

    import torchkeras as keras

    name = group[0][0][0]
    chosen = [item for item in group if item[0][2] == group[-1][0][2]][-24::3]
    layers = [_layer(*combination, weights) for combination, _, weights, _ in chosen]
    expected = [y for *_, y in chosen]
    if hasattr(keras.ops.image, name) or any(isinstance(layer, Exception) for layer in layers):
        return
    ins = [keras.Input(combination[2][1:]) for combination, *_ in chosen]
    outs = [layer(one) for layer, one in zip(layers, ins, strict=True)]
    model = keras.Model(ins, outs)
    inputs = [x for _, x, _, _ in chosen]

    def differing(made: Any) -> str | None:
        if isinstance(made, Exception):
            return _difference(expected[0], made)
        made = made if isinstance(made, (list, tuple)) else [made]
        pairs = zip(chosen, expected, made, strict=True)
        wrong = [(_title(item[0]), _difference(y, one)) for item, y, one in pairs]
        return next((f"{title}: {what}" for title, what in wrong if what), None)

    tensors = [torch.from_numpy(x) for x in inputs]
    torch.compiler.reset()  # of the models before, which share its code
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True)
        yield "compiled", differing(_tried(lambda: compiled(tensors)))
        program = _tried(lambda: torch.export.export(model, (tensors,)).module()(tensors))
        yield "exported", differing(program)


def _tried(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Exception as error:
        return error


def _difference(y: np.ndarray, made: Any) -> str | None:
    if isinstance(made, Exception):
        return f"{type(made).__name__}: {made}"[:400]
    made = made.detach().numpy() if hasattr(made, "detach") else np.asarray(made)
    if made.shape != y.shape:
        return f"shape {made.shape} for {y.shape}"
    if y.size == 0:
        return None
    apart = float(np.abs(made - y).max()) / max(float(np.abs(y).max()), 1e-3)
    return None if apart <= TOLERANCE else f"differs by {apart:.2g} of the largest"


def _title(combination: Combination) -> str:
    name, arguments, shape = combination
    given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"{name}({given}) of {'x'.join(map(str, shape[1:-1]))}"


def main() -> int:
    """Let TensorFlow compute, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="combinations whose title contains this")
    parser.add_argument("--every", type=int, default=1, help="only each N-th of them")
    parser.add_argument("--write", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.write is not None:
        write(arguments.write, arguments.only, arguments.every)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "found.pickle"
        command = [sys.executable, "-m", f"{__package__}.padding", "--write", str(path)]
        command += ["--only", arguments.only, "--every", str(arguments.every)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run(command, check=True, env=environment)
        return int(not compare(path))


if __name__ == "__main__":
    sys.exit(main())
