"""What all examples share: their command line, and the picture of how training went."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402 (the backend is chosen first)

__all__ = ["parse_options", "save_curves"]


def parse_options(purpose: str, epochs: int) -> argparse.Namespace:
    """Read `--epochs`, `--seed` and `--output` (a folder; a temporary one by default)."""
    parser = argparse.ArgumentParser(description=purpose.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="folder for the picture of the training curve")
    options = parser.parse_args()
    options.output = options.output or Path(tempfile.mkdtemp(prefix="torchkeras_"))
    options.output.mkdir(parents=True, exist_ok=True)
    return options


def save_curves(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw each series of `history` over the epochs: losses on the left, the rest on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for name, values in history.items():
        axes = left if "loss" in name else right
        axes.plot(range(1, len(values) + 1), [float(v) for v in values], marker=".", label=name)
    for axes, title in ((left, "loss"), (right, "metrics")):
        axes.set(xlabel="epoch", title=title)
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"Training curve: {path}")
