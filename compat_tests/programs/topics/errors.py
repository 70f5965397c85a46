"""Programs that are wrong at one place.

Half of them make one object of Keras's with one argument wrong (`_constructors`); the others do
what users do with a model, and one wrong thing (`_mistakes`). A mistake may be none to Keras: then
what it gives is compared, and so is the life of the model after it.
"""

from __future__ import annotations

from .. import pieces
from ..drawing import Draw, assemble
from . import _classes, _constructors, _mistakes

__all__ = ["program"]


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one(
        [_constructors.program] * 5 + [_of_models] * 4 + [_alone] * 2 + [_classes.program]
    )
    return writer(draw)


def _chosen(draw: Draw, table: str) -> str:
    return draw.one(table.strip().splitlines()).replace("; ", "\n")


def _alone(draw: Draw) -> str:
    return assemble(_chosen(draw, _mistakes.ALONE))


def _of_models(draw: Draw) -> str:
    """A model, what is done with it, and the mistake somewhere among that."""
    model = pieces.model(draw, subclassed=draw.chance(0.3))
    rows = draw.whole(3, 9)
    data = f"x = numbers{(rows, *model.inputs)}\ny = {pieces.target(model, rows)}"
    stages = [
        (_mistakes.BEFORE_COMPILE, pieces.compilation(draw)),
        (_mistakes.BEFORE_TRAINING, 'show("h", model.fit(x, y, batch_size=4, verbose=0).history)'),
        (_mistakes.AFTER_TRAINING, 'show("e", model.evaluate(x, y, verbose=0))'),
    ]
    place = draw.whole(0, 2)
    lines = [model.source, data]
    for i, (mistakes, right) in enumerate(stages):
        if i == place:
            wrong = _chosen(draw, mistakes)
            for name, value in (("rows", rows), ("shape", model.inputs), ("out", model.outputs)):
                wrong = wrong.replace(f"{{{name}}}", str(value))
            lines.append(wrong)
        lines.append(right)
    return assemble(*lines, 'show("p", model.predict(x, verbose=0))')
