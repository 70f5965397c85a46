"""Which layers `torch.compile(fullgraph=True)` and `torch.export` take: `docs/compilation.md`.

`python -m tests.compilation` tries every case of every layer in `test_meta.py` and writes the
table; with names of layers it only prints their lines. A case passes if the outputs in inference
are those of the layer itself; in training, where random numbers differ, if there is one graph.
`tests/layers/test_compilation.py` tries a share of the cases in CI.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch

import torchkeras as keras
from tests import test_meta
from torchkeras import layers

WAYS = ("compiled", "compiled, training", "exported")
# Why a layer cannot be compiled or exported; by name, and of some only one way.
_DRAWS = "Python draws numbers that decide what is computed"
_FROZEN = "with the augmentations that were drawn for it"
REASONS: dict[tuple[str, str], str] = {
    (name, way): _DRAWS
    for name in ("AugMix", "RandAugment", "RandomCrop", "RandomElasticTransform")
    for way in WAYS
}
REASONS["AugMix", "exported"] = _FROZEN
# Layers that are not in the table, besides second names of those in it.
ABSENT = {
    "StringLookup": "strings are no tensors",
    "TextVectorization": "strings are no tensors",
    "InputLayer": "it computes nothing",
    "Layer": "it computes nothing",
    "Wrapper": "it computes nothing",
    "FlaxLayer": "another engine computes it",
    "JaxLayer": "another engine computes it",
    "TFSMLayer": "another engine computes it",
}
DOCUMENT = Path(__file__).parents[1] / "docs" / "compilation.md"


def cases():
    """All pairs of a layer's name and the number of its case."""
    return [(name, i) for name, line in test_meta.LAYERS.items() for i in range(len(line))]


def build(name, i):
    """Make the model of a case and a batch for it."""
    make, shapes = test_meta.LAYERS[name][i]
    keras.utils.set_random_seed(0)
    made = make()
    chain = made if isinstance(made, list) else [made]
    if shapes == "tokens":
        inputs = keras.Input((test_meta.TIME,), dtype="int32")
        batch = torch.randint(0, 5, (4, test_meta.TIME), dtype=torch.int32)
        if name == "IntegerLookup":  # one refuses what is not in its vocabulary, one indexes it
            batch = torch.full_like(batch, 2 if getattr(made, "invert", False) else 3)
    elif isinstance(shapes, list):
        inputs = [keras.Input(shape) for shape in shapes]
        batch = [torch.rand(4, *shape) for shape in shapes]
    else:
        inputs, batch = keras.Input(shapes), torch.rand(4, *shapes)
    x = inputs
    for layer in chain:
        x = layer(x) if isinstance(layer, keras.Layer) else layers.TorchModuleWrapper(layer)(x)
    return keras.Model(inputs, x), batch


def attempt(name, i, way):
    """Try one case; raises what there is to say against it."""
    model, batch = build(name, i)
    model.train(way == "compiled, training")
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, while it traces
        if way == "exported":
            fast = torch.export.export(model, (batch,)).module()
        else:
            fast = torch.compile(model, backend="eager", fullgraph=True)
        actual = fast(batch)
    if way == "compiled, training":
        return
    expected, again, actual = map(keras.tree.flatten, (model(batch), model(batch), actual))
    for a, b, c in zip(actual, expected, again, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if torch.equal(b, c):  # some are random in inference too
            torch.testing.assert_close(a, b)


def outcome(name, i, way):
    """Return "yes", or the first lines of why not."""
    try:
        attempt(name, i, way)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {' '.join(lines[:3])[:300]}"
    return "yes"


def lines_of(names):
    """The lines of the table for some layers; what is not expected goes to stderr as well."""
    for name in names:
        cells = []
        for way in WAYS:
            count = len(test_meta.LAYERS[name])
            outcomes = [outcome(name, i, way) for i in range(count)]
            failed = [text for text in outcomes if text != "yes"]
            for text in failed:
                print(f"{name}, {way}: {text}", file=sys.stderr, flush=True)
            reason = REASONS.get((name, way), "?" if failed else "yes")
            good = count - len(failed)
            cells.append(f"{good} of {count} ways: {reason}" if failed else reason)
        print(f"{name}: {', '.join(cells)}", file=sys.stderr, flush=True)
        yield f"| {name} | {len(test_meta.LAYERS[name])} | {' | '.join(cells)} |"


def main(names):
    """Print or write the table."""
    if names:
        print(*lines_of(names), sep="\n")
        return
    head = [
        "# Compilation and export",
        "",
        "Which layers `torch.compile(fullgraph=True)` makes one graph of, in inference and in",
        "training, and which `torch.export.export` takes, each in so many ways of making it.",
        f"Written by `python -m tests.compilation`, torch {torch.__version__.partition('+')[0]}.",
        "",
        "Not in the table are second names of layers, and:",
        "",
        *(f"- {name}: {reason}" for name, reason in ABSENT.items()),
        "",
        f"| layer | ways | {' | '.join(WAYS)} |",
        "|---|--:|---|---|---|",
    ]
    text = "\n".join([*head, *lines_of(sorted(test_meta.LAYERS)), ""])
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
