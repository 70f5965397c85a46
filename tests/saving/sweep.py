"""Absurd numbers in the configuration of every op and layer: still a model or a `FileFormatError`.

`python -m tests.saving.sweep` writes a model for each case of the ops (`tests/ops/op_cases.py`) and
layers (`tests/test_meta.py`), and loads it once for each number in its configuration, with that
number a billion (`--value` for another). What `fuzz.py` counts as a failure counts here.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import torchkeras as keras
from tests import compilation
from tests.saving.fuzz import OUTCOMES, run_cases

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from op_cases import CASES  # noqa: E402

__all__ = ["absurd", "main", "models", "places"]

CONFIG = "config.json"
Place = tuple[Any, ...]


@functools.cache
def models() -> list[tuple[str, bytes]]:
    """Return the archives, with what each is of."""
    builders = [(f"ops.{case.name}", functools.partial(of_op, case)) for case in CASES]
    builders += [
        (name, lambda name=name, i=i: compilation.build(name, i)[0])
        for name, i in compilation.cases()
    ]
    found = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "m.keras"
        for title, build in builders:
            try:
                build().save(path)
            except (NotImplementedError, TypeError, ValueError):  # no tensors, no shape, no config
                continue
            found.append((title, path.read_bytes()))
    return found


def of_op(case: Any) -> Any:
    """Make a model of an op: its arrays are inputs."""
    inputs = []

    def symbolic(x: Any) -> Any:
        if type(x) in (list, tuple):
            return type(x)(map(symbolic, x))
        if not isinstance(x, np.ndarray) or not x.ndim:
            return x
        inputs.append(keras.Input(x.shape[1:], batch_size=x.shape[0], dtype=str(x.dtype)))
        return inputs[-1]

    function: Any = keras.ops
    for name in case.name.split("."):
        function = getattr(function, name)
    kwargs = {key: symbolic(value) for key, value in case.kwargs.items()}
    outputs = function(*map(symbolic, case.args), **kwargs)
    return keras.Model(inputs, outputs)


def places(data: bytes) -> list[Place]:
    """Return where the numbers of an archive's layers are, the first four of each list."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        layers = json.loads(archive.read(CONFIG))["config"]["layers"]

    def numbers(node: Any, place: Place) -> Iterator[Place]:
        if isinstance(node, (dict, list)):
            items = node.items() if isinstance(node, dict) else enumerate(node[:4])
            for key, value in items:
                yield from numbers(value, (*place, key))
        elif isinstance(node, (int, float)) and not isinstance(node, bool):
            yield place

    return list(numbers(layers, ("config", "layers")))


def absurd(data: bytes, place: Place, value: Any) -> bytes:
    """Return an archive with another number in a place."""
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(output, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == CONFIG:
                node = config = json.loads(content)
                for key in place[:-1]:
                    node = node[key]
                node[place[-1]] = value
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return output.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Carry out a command line; return its status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--value", type=json.loads, default=10**9)
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args(argv)
    cases = [(title, data, place) for title, data in models() for place in places(data)]

    def make(number: int) -> tuple[str, bytes]:
        title, data, place = cases[number]
        return f"{title} {place[2:]}", absurd(data, place, options.value)

    counts = run_cases(0, len(cases), options.seconds, make)
    failures = sum(n for (_, result), n in counts.items() if result not in OUTCOMES)
    print(f"{sum(counts.values())} files of {len(models())} models, {failures} failures")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
