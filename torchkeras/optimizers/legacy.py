"""`keras.optimizers.legacy`: names that, as in Keras 3, exist only to say what to use instead.

Libraries written for TensorFlow import them, most without ever making one.
"""

from __future__ import annotations

from typing import Any

from ..naming import explain

__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]


class LegacyOptimizerWarning:
    """Any optimizer of `keras.optimizers.legacy`.

    Raises:
        ImportError: Always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ImportError(
            explain(
                "`keras.optimizers.legacy` is not supported in Keras 3.",
                fix="use the optimizer of the same name in `keras.optimizers`.",
            )
        )


Adagrad = Adam = Ftrl = Optimizer = RMSprop = SGD = LegacyOptimizerWarning
