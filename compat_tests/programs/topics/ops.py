"""Random expressions of `keras.ops`."""

from __future__ import annotations

from ..drawing import Draw, assemble

__all__ = ["program"]


def program(draw: Draw) -> str:
    """Write a program."""
    shape = draw.shape(draw.whole(1, 3))
    function = draw.one(["mean", "sum", "softmax", "cumsum", "sort", "relu"])
    return assemble(
        f"""
        x = numbers(*{shape}, seed={draw.whole(0, 99)})
        y = ops.{function}(x)
        show("y", y)
        inputs = keras.Input({shape[1:]})
        model = keras.Model(inputs, ops.{function}(inputs))
        show("model", model(x))
        model.compile("sgd", "mse")
        print(model.output_shape)
        """
    )
