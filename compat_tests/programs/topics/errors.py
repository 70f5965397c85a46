"""Programs that are wrong at one place, and go on.

Half of them make one object of Keras's with one argument wrong (`_constructors`); the others do
what users do with a model, and one wrong thing (`_mistakes`), or write a class with a slip in it
(`_classes`). What is wrong stands in a function `mistake`, which is tried: the exception is
compared, and so is all that comes after it, since what was refused must have changed nothing. A
mistake may be none to Keras: then what it gives is compared.
"""

from __future__ import annotations

import re

from .. import pieces
from ..drawing import Draw, assemble
from . import _classes, _constructors, _mistakes

__all__ = ["program"]

# Contexts, settings and names that what was refused may have left behind show in this.
_AFTER = """
keras.utils.set_random_seed(1)
print("settings", keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name)
after = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="first"), layers.Dense(1, name="last")], name="after")
after.compile("sgd", "mse")
show("after", after.fit(numbers(4, 3), numbers(4, 1, seed=1), epochs=2, verbose=0).history)
show_weights("after", after)
"""  # noqa: E501
# The model after the mistake.
_STATE = """
print("state", model.built, model.compiled, model.trainable, len(model.layers))
if model.built:
    show_weights("kept", model)
if model.compiled and model.optimizer is not None:
    print("steps", int(model.optimizer.iterations))
keras.utils.set_random_seed(1)
"""
# Layers that draw: how often a refused call did is not compared.
_DRAWS = re.compile("Dropout|Noise")
_FIT = "model.fit(x, y, batch_size=4, verbose=0).history"


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one(
        [_constructors.statements] * 5 + [_of_models] * 4 + [_alone] * 2 + [_classes.statements]
    )
    definitions, wrong, after = writer(draw)
    body = "\n".join(f"    {line}" for line in wrong.strip().splitlines())
    return assemble(definitions, f"def mistake():\n{body}\ntried('mistake', mistake)", after)


def _chosen(draw: Draw, table: str) -> str:
    return draw.one(table.strip().splitlines()).replace("; ", "\n")


def _alone(draw: Draw) -> tuple[str, str, str]:
    return "", _chosen(draw, _mistakes.ALONE), _AFTER


def _of_models(draw: Draw) -> tuple[str, str, str]:
    """A model, what is done with it, and the mistake somewhere among that."""
    model = pieces.model(draw, subclassed=draw.chance(0.3))
    while _DRAWS.search(model.source):
        model = pieces.model(draw, subclassed=draw.chance(0.3))
    rows = draw.whole(3, 9)
    data = f"x = numbers{(rows, *model.inputs)}\ny = {pieces.target(model, rows)}"
    stages = [
        (_mistakes.BEFORE_COMPILE, pieces.compilation(draw)),
        (_mistakes.BEFORE_TRAINING, _tried("fitted", _FIT)),
        (_mistakes.AFTER_TRAINING, _tried("evaluated", "model.evaluate(x, y, verbose=0)")),
    ]
    place = draw.whole(0, 2)
    wrong = _chosen(draw, stages[place][0])
    for name, value in (("rows", rows), ("shape", model.inputs), ("out", model.outputs)):
        wrong = wrong.replace(f"{{{name}}}", str(value))
    before = [right for _, right in stages[:place]]
    after = [right for _, right in stages[place:]]
    last = _tried("predicted", "model.predict(x, verbose=0)")
    return (
        "\n".join([model.source, data, *before]),
        wrong,
        "\n".join([_STATE, *after, last, _tried("weights", "model.get_weights()")]),
    )


def _tried(label: str, expression: str) -> str:
    return f"tried({label!r}, lambda: {expression})"
