"""The writers of programs, one module for each topic; `program(draw)` writes one.

A module may name in `PRELOAD` what its programs import beside Keras and NumPy.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["PRELOAD", "TOPICS"]

TOPICS: dict[str, ModuleType] = {
    name: importlib.import_module(f"{__name__}.{name}")
    for name in ("layers", "models", "training", "data", "draws", "lives", "ops", "errors")
}
# All that they name, imported before the programs are run.
PRELOAD = tuple(
    dict.fromkeys(name for topic in TOPICS.values() for name in getattr(topic, "PRELOAD", ()))
)
