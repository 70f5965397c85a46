"""`training` and `trainable`: what is trained, and what runs as in training."""

from __future__ import annotations

from .. import pieces
from ..drawing import Draw, assemble

__all__ = ["program"]


def program(draw: Draw) -> str:
    """Write a program."""
    model = pieces.model(draw)
    rows = draw.whole(2, 9)
    return assemble(
        model.source,
        pieces.compilation(draw),
        f"""
        x = numbers(*{(rows, *model.inputs)})
        y = {pieces.target(model, rows)}
        show("predicted", model.predict(x, verbose=0))
        show("history", model.fit(x, y, epochs=2, batch_size=4, verbose=0).history)
        show("evaluated", model.evaluate(x, y, verbose=0))
        show_weights("weights", model)
        """,
    )
