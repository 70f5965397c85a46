"""What the writers of programs draw from: seeded choices, names, and helpers for the scripts."""

from __future__ import annotations

import ast
import random
import re
import textwrap
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["HANDOVER", "Draw", "assemble", "is_given", "parts_of"]

T = TypeVar("T")

# Between two parts of a program: what follows runs in another process, on either library, in the
# folder where the first part left its files.
HANDOVER = "#%% another process goes on"

_IMPORTS = {
    "keras": "import keras",
    "np": "import numpy as np",
    "torch": "import torch",
    "tf": "import tensorflow as tf",
    "pd": "import pandas as pd",
    "json": "import json",
    "os": "import os",
    "re": "import re",
    "copy": "import copy",
    "inspect": "import inspect",
    "pickle": "import pickle",
    "pprint": "import pprint",
    "layers": "from keras import layers",
    "ops": "from keras import ops",
}
_SEED = "keras.utils.set_random_seed(0)"
# Functions that scripts may call; each is written into those that do.
_FUNCTIONS = {
    "show": '''
def show(label, x):
    """Print what x holds: structure, dtypes, shapes, numbers."""
    if isinstance(x, dict):
        print(label, "dict", list(x))
        for key in x:
            show(f"{label}.{key}", x[key])
    elif isinstance(x, (list, tuple)):
        print(label, type(x).__name__, len(x))
        for i, item in enumerate(x):
            show(f"{label}.{i}", item)
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        dtype = keras.backend.standardize_dtype(x.dtype)
        x = keras.ops.convert_to_numpy(keras.ops.cast(x, "float32") if dtype == "bfloat16" else x)
        print(label, dtype, tuple(x.shape), x.tolist())
    else:
        print(label, repr(x))
''',
    "show_weights": '''
def show_weights(label, layer):
    """Print the weights of a layer in their order."""
    print(label, len(layer.weights), len(layer.trainable_weights), len(layer.variables))
    for w in layer.weights:
        print(label, w.path, w.name, "trained" if w.trainable else "kept")
        show(label, w)
''',
    "numbers": '''
def numbers(*shape, seed=0):
    """Normal random numbers, as float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")
''',
    "whole": '''
def whole(*shape, below=10, seed=0):
    """Random whole numbers from 0 on."""
    return np.random.default_rng(seed).integers(0, below, shape).astype("int32")
''',
    "as_json": '''
def as_json(config):
    """The text of a config, without addresses and the home of an optimizer on one backend."""
    text = json.dumps(config, sort_keys=True, indent=1)
    text = re.sub(r',?\\n *"shared_object_id": \\d+', "", text)
    return re.sub(
        r'"keras.src.backend.torch.optimizers.\\w+",(\\s*)"registered_name": "\\w+"',
        r'"keras.optimizers",\\1"registered_name": null', text)
''',
    # A line for each key, so that one that differs hides no other.
    "show_compiled": '''
def show_compiled(config):
    """Print how a model was compiled, from its config."""
    for key in sorted(config):
        print("compiled_" + key, " ".join(as_json(config[key]).split()))
''',
    "attempt": '''
def attempt(label, function):
    """Print what a call returns, or the kinds of its exception."""
    try:
        show(label, function())
    except Exception as error:
        print(label, "raises", *(kind.__name__ for kind in type(error).__mro__[:-1]))
''',
    # With the message, which reasons look at; only the kinds are compared.
    "raised": '''
def raised(label, error):
    """Print the kinds of an exception and its message."""
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__[:-1])
    print(label, "raises", f"{kinds}:", " ".join(str(error).split())[:400])
''',
    "tried": '''
def tried(label, function):
    """Print what a call returns, or its exception."""
    try:
        show(label, function())
    except Exception as error:
        raised(label, error)
''',
    "describe": '''
def describe(label, spec, result):
    """Print what is known of a result, and whether that is what it is."""
    if isinstance(spec, (list, tuple, dict)):
        print(label, "structure", keras.tree.map_structure(lambda t: "", spec))
    for spec, result in zip(keras.tree.flatten(spec), keras.tree.flatten(result), strict=True):
        if not hasattr(spec, "shape"):
            print(label, spec)
            continue
        shape, dtype = tuple(result.shape), keras.backend.standardize_dtype(result.dtype)
        sizes = tuple(b if a is None else a for a, b in zip(spec.shape, shape))
        for what, known, one, real in (
            ("shape", tuple(spec.shape), sizes if len(sizes) == len(spec.shape) else None, shape),
            ("dtype", spec.dtype, spec.dtype, dtype),
        ):
            print(label, what, known, "as computed" if one == real else f"but computed is {real}")
''',
    "inferred": '''
def inferred(label, function, symbols, arrays):
    """Describe what a function gives for symbols, if it gives something for arrays."""
    try:
        result = function(*arrays)
    except Exception as error:
        return raised(label + " on arrays", error)
    try:
        describe(label, function(*symbols), result)
    except Exception as error:
        raised(label, error)
''',
}


class Draw:
    """Random choices, the same for the same key.

    Args:
        key: Seed, topic and number of the program.
    """

    def __init__(self, key: str) -> None:
        self._random = random.Random(key)
        self._count = 0

    def one(self, options: Sequence[T]) -> T:
        """One of the options."""
        return self._random.choice(options)

    def some(self, options: Sequence[T], least: int = 0, most: int | None = None) -> list[T]:
        """Some of the options, in their order."""
        most = len(options) if most is None else min(most, len(options))
        chosen = self._random.sample(range(len(options)), self.whole(least, most))
        return [options[i] for i in sorted(chosen)]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """All options in a random order."""
        return self._random.sample(list(options), len(options))

    def chance(self, probability: float = 0.5) -> bool:
        """True as often as asked for."""
        return self._random.random() < probability

    def whole(self, least: int, most: int) -> int:
        """A whole number, both bounds included."""
        return self._random.randint(least, most)

    def shape(self, rank: int, least: int = 1, most: int = 5) -> tuple[int, ...]:
        """Sizes of that many axes."""
        return tuple(self.whole(least, most) for _ in range(rank))

    def name(self, stem: str) -> str:
        """A name that was not given before."""
        self._count += 1
        return f"{stem}{self._count}"


def assemble(*pieces: str) -> str:
    """A script of these pieces of source, with the imports and functions that they use.

    Pieces may be indented as a whole. `HANDOVER` as a piece begins the second part.
    """
    body = "\n".join(textwrap.dedent(piece).strip("\n") for piece in pieces)
    return f"\n{HANDOVER}\n".join(_with_prelude(part) for part in parts_of(body))


def parts_of(source: str) -> list[str]:
    """The parts of a program."""
    return source.split(f"\n{HANDOVER}\n")


def is_given(node: ast.AST) -> bool:
    """Whether a statement is the seed or one of the functions that programs are given."""
    if isinstance(node, ast.FunctionDef):
        return node.name in _FUNCTIONS
    return isinstance(node, ast.Expr) and ast.unparse(node) == _SEED


def _uses(source: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){name}\b", source) is not None


def _with_prelude(part: str) -> str:
    functions: list[str] = []
    # Later functions call earlier ones.
    for name in reversed(_FUNCTIONS):
        if _uses("\n".join([part, *functions]), name):
            functions.insert(0, _FUNCTIONS[name].strip("\n"))
    text = "\n".join([*functions, part])
    imports = [line for name, line in _IMPORTS.items() if _uses(text, name) and line not in text]
    if "import keras" not in imports:
        imports.insert(0, "import keras")
    return "\n".join([*imports, _SEED, *functions, part]) + "\n"
