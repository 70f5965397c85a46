"""Layers as one graph of `torch.compile`, and under `torch.export`; the whole is a command."""

import pytest

from tests import compilation
from torchkeras import layers

# Each case takes a quarter of a second: a tenth of them here, every layer by the command.
CASES = [
    (name, i, way)
    for number, (name, i) in enumerate(compilation.cases())
    for way in compilation.WAYS
    if number % 10 == 3 and (name, way) not in compilation.REASONS
]


@pytest.mark.filterwarnings("ignore")  # torch's own, while it traces
@pytest.mark.parametrize(("name", "i", "way"), CASES)
def test_a_layer_is_one_graph(name, i, way):
    compilation.attempt(name, i, way)


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_graph_is_noticed():
    assert compilation.outcome("RandAugment", 0, "compiled").startswith("Unsupported")


def test_the_document_has_a_line_for_every_layer():
    lines = [line for line in compilation.DOCUMENT.read_text().splitlines() if line[:2] == "| "]
    found = {line.split(" | ")[0].removeprefix("| "): line for line in lines[1:]}
    assert set(found) == set(compilation.test_meta.LAYERS)
    for name, line in found.items():
        reasons = [compilation.REASONS.get((name, way)) for way in compilation.WAYS]
        cells = line.removesuffix(" |").split(" | ")[2:]
        for cell, reason in zip(cells, reasons, strict=True):
            assert cell == "yes" if reason is None else cell.endswith(reason), line


def test_no_layer_is_forgotten():
    public = [getattr(layers, name) for name in dir(layers)]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, layers.Layer)}
    known = {getattr(layers, name) for name in (*compilation.test_meta.LAYERS, *compilation.ABSENT)}
    assert kinds == known
