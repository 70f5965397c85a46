"""Where torchkeras is meant to differ from Keras: each a sentence, and how to tell it.

A reason explains a difference only if it matches what both sides printed or raised, so that another
fault in the same program stays a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .compare import Difference

__all__ = ["REASONS", "Reason", "reason_for"]


@dataclass(frozen=True)
class Reason:
    """Why a difference is right.

    Args:
        sentence: Why, for the reports and the README.
        source: A pattern found in the program.
        theirs, ours: Patterns found in what Keras and torchkeras printed or raised there.
    """

    sentence: str
    source: str = ""
    theirs: str = ""
    ours: str = ""

    def explains(self, difference: Difference) -> bool:
        """Whether this is the reason of a difference."""
        return (
            re.search(self.source, difference.source) is not None
            and re.search(self.theirs, difference.expected) is not None
            and re.search(self.ours, difference.actual) is not None
        )


# Found by the programs of `layers`.
_LAYERS: tuple[Reason, ...] = ()

# Found by the programs of `models`.
_MODELS: tuple[Reason, ...] = (
    Reason(
        "What trains itself in its own `train_step` needs no `call` to be built by: Keras wants"
        " `self.built = True` written into it.",
        source=r"def train_step\(",
        theirs=r"^line \d+: RuntimeError: Unable to automatically build the model",
        ours=r"^ran to its end$",
    ),
    Reason(
        "What keeps a model from being built is raised as it is; Keras raises a RuntimeError with"
        " its text inside.",
        theirs=r"^line \d+: RuntimeError: Unable to automatically build the model",
        ours=r"^line \d+: \w+Error: ",
    ),
    Reason(
        "The config of a functional subclass without `get_config` keeps the arguments that the"
        " model was made with; Keras forgets them, and makes another model of the config.",
        source=r"super\(\).__init__\((inputs|\*args)",
        theirs=r'^config \'\{"dtype": .*, "name": "\w+", "trainable": (true|false)\}\'$',
        ours=r'^config \'\{"dtype": .*("units": \d+|"input_layers": ).*\}\'$',
    ),
    Reason(
        "The config of a class without `get_config` holds only what its constructor takes; Keras's"
        " holds more, and cannot be made into a model again.",
        source=r"def __init__\(self\):",
        theirs=r'^config \'\{"dtype": \{[^{}]*\{[^{}]*\}[^{}]*\}, "trainable": (true|false)\}\'$',
        ours=r"^config '\{\}'$",
    ),
    Reason(
        "`clone_model` keeps the class of a functional subclass, and the methods with it; Keras"
        " makes a plain functional model.",
        source=r"clone_model\(model\)",
        theirs=r"^cloned 'Functional'$",
        ours=r"^cloned 'Net\d+'$",
    ),
    Reason(
        "A `Sequential` that meets data takes batches of any size; Keras notes the size of the"
        " first batch.",
        source=r"keras\.Sequential",
        theirs=r'^config .*"build_input_shape": \[\d+, |^shapes\.\d\.0 \d+$',
        ours=r'^config .*"build_input_shape": \[null, |^shapes\.\d\.0 None$',
    ),
    Reason(
        "What a second `compile` leaves out, and the model goes on using, stays in the config of"
        " the compilation.",
        source=r"(?s)\.compile\(.*\.compile\(",
        theirs=r"^compiled\.(loss|metrics|weighted_metrics|loss_weights) 'None'$",
        ours=r"^compiled\.(loss|metrics|weighted_metrics|loss_weights) '(?!None')",
    ),
    Reason(
        "The summary of a subclassed model shows open batch sizes and the shapes of users' layers;"
        " Keras shows the batch of the last call, stand-ins and question marks.",
        source=r"\.summary\(",
        theirs=r"│ .*│ +(\(\d+, \d+\)|\?) +│ ",
        ours=r"│ .*│ +\((None|\d+), \d+\) +│ ",
    ),
)

# Found by the programs of `training`.
_TRAINING: tuple[Reason, ...] = ()

# Found by the programs of `data`.
_DATA: tuple[Reason, ...] = ()

# Found by the programs of `draws`.
_DRAWS: tuple[Reason, ...] = ()

# Found by the programs of `lives`.
_LIVES: tuple[Reason, ...] = ()

# Found by the programs of `ops`.
_OPS: tuple[Reason, ...] = ()

# Found by the programs of `errors`.
_ERRORS: tuple[Reason, ...] = ()

REASONS: tuple[Reason, ...] = (
    *_LAYERS,
    *_MODELS,
    *_TRAINING,
    *_DATA,
    *_DRAWS,
    *_LIVES,
    *_OPS,
    *_ERRORS,
)


def reason_for(difference: Difference) -> Reason | None:
    """The reason registered for a difference, or `None`."""
    return next((reason for reason in REASONS if reason.explains(difference)), None)
