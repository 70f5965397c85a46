"""Where ops of torchkeras are meant to differ from Keras's: found by the programs of `ops`."""

from __future__ import annotations

import re

from .compare import Difference
from .reason import Reason

__all__ = ["OPS"]

_RUNS = r"^(?!.* raises )"


def _unknown_sizes(line: str) -> list[bool]:
    shape = re.search(r" shape \((.*?),?\)", line)
    return [size == "None" for size in shape[1].split(", ")] if shape else []


def _knows_as_much(difference: Difference) -> bool:
    """Whether each size that Keras knows of a symbolic result is known here, be it right or not."""
    theirs, ours = map(_unknown_sizes, (difference.expected, difference.actual))
    if len(theirs) != len(ours):  # then no size is compared with another
        return ours.count(True) <= theirs.count(True)
    return all(here <= there for there, here in zip(theirs, ours, strict=True))


def _fails_there_too(difference: Difference) -> bool:
    """Whether what raises here raises in Keras as well, be it later."""
    label = difference.actual.partition(" raises ")[0]
    return any(
        line.startswith(f"{label} raises ") for line in difference.theirs.output.splitlines()
    )


def _same_but_dtypes(difference: Difference) -> bool:
    one, other = (
        re.sub(r'"dtype": "\w+"', "", text) for text in (difference.expected, difference.actual)
    )
    return one == other


def _same_refusal(difference: Difference) -> bool:
    """Whether torch says the same in both."""
    said = re.search(r"calling \w+\.call\(\)\. (.{20})", difference.expected)
    return said is not None and said[1] in difference.actual


OPS: tuple[Reason, ...] = (
    Reason(
        "The shape of a symbolic result is inferred by running the op, so it is what the op then"
        " returns; Keras's separate rules say something else here.",
        theirs=r" shape \(.* but computed is",
        ours=r" shape \(.* as computed$",
        further=_knows_as_much,
    ),
    Reason(
        "The dtype of a symbolic result is inferred by running the op, so it is what the op then"
        " returns; Keras's separate rules say something else here.",
        theirs=r" dtype \w+ but computed is",
        ours=r" dtype \w+ as computed$",
    ),
    Reason(
        "A size of a symbolic result that follows from another argument is known; Keras leaves it"
        " open.",
        theirs=r" shape \(.*None.* as computed$",
        ours=r" shape \(.* as computed$",
        further=_knows_as_much,
    ),
    Reason(
        "`float64` stays `float64`, and `int64` stays `int64` where an op computes with it or with"
        " `uint32`; Keras's rules of promotion make 32 bits of them.",
        source=r"float64|int64|uint32",
        theirs=r"(float|int)32 \(| dtype (float|int)32 as computed",
        ours=r"(float|int)64 \(| dtype (float|int)64 as computed",
    ),
    Reason(
        "A wrong call that Keras leaves to torch or Python (RuntimeError, IndexError,"
        " AttributeError) is named in a ValueError or TypeError.",
        # The label is the call itself only where it is written to be wrong.
        theirs=r"^[\w.]+\(.*\) raises (RuntimeError|IndexError|AttributeError|UnboundLocalError"
        r"|KeyError|ZeroDivisionError|OverflowError|AssertionError|NotImplementedError"
        r"|_LinAlgError|LinAlgError|EinopsError)",
        ours=r"^[\w.]+\(.*\) raises (ValueError|TypeError|\w+ ValueError)",
    ),
    Reason(
        "What torch refuses is refused when the graph is made, in a ValueError that tells the"
        " arguments; Keras makes the graph, which fails when it is run.",
        ours=r" raises ValueError .*: Could not infer what '",
        further=_fails_there_too,
    ),
    Reason(
        "Symbolic tensors take the indices that tensors take: `None`, lists and arrays, and slices"
        " of axes of unknown size.",
        theirs=r"\[(None|:, \[0, 2\]|1:)\] raises ValueError",
        ours=_RUNS,
    ),
    Reason(
        "Every op takes lists, numbers, NumPy arrays and variables; some of Keras's ask them for"
        " what only tensors have.",
        theirs=r" raises (AttributeError|TypeError) .*: (?:.*\. )?("
        r"'(list|tuple|int|float|bool|numpy\.ndarray)' object has no attribute"
        r" '(shape|dtype|ndim|device|is_complex|to|unbind|detach)'"
        r"|expected np\.ndarray \(got (Variable|list)\)|object of type 'int' has no len\(\)"
        r"|\w+\(\): argument '\w+' \(position \d\) must be Tensor, not \S+)",
        ours=_RUNS,
    ),
    Reason(
        "Loops on symbols take plain numbers and structures among their variables, or name what"
        " cannot be an output; Keras asks them for a shape.",
        theirs=r"^(while_loop|fori_loop)\S* raises AttributeError .*'(int|float|tuple|list)' object"
        r" has no attribute 'shape'",
        ours=r"^(?!.* raises )|all operation outputs must be tensors",
    ),
    Reason(
        "Ops take unknown sizes; some of Keras's rules compute with `None`.",
        theirs=r" raises TypeError .*('NoneType' and '\w+'|'\w+' and 'NoneType'"
        r"|instances of 'NoneType' and 'int')"
        r"| raises ValueError .*must be a vector of length .*Received: `?\(None,\)"
        r"| raises ValueError .*Expected b\.shape\[0\] to be equal to a\.shape\[0\].*\(None, ",
        ours=_RUNS,
    ),
    Reason(
        "The only axis of a scalar is 0, or -1, on symbols as on tensors.",
        theirs=r" raises ValueError .*axis (0|-1) is out of bounds for an array with dimension 0",
        ours=_RUNS,
    ),
    Reason(
        "The shapes of a `Lambda` are inferred by running it, also where Keras asks for its"
        " `output_shape`.",
        theirs=r" raises NotImplementedError .*We could not automatically infer the shape of the"
        r" Lambda's output",
        ours=_RUNS,
    ),
    Reason(
        "Ops compute in dtypes for which torch has no kernel, and Keras none of its own.",
        theirs=r" raises (RuntimeError|NotImplementedError) .*(not implemented for '\w+'"
        r"|imag is not implemented for tensors with non-complex dtypes)",
        ours=_RUNS,
    ),
    Reason(
        "`einsum` promotes its operands as the other ops do; Keras hands them to torch as they"
        " are.",
        theirs=r"^einsum\S*( on arrays)? raises RuntimeError .*expected (.*dtype|scalar type)",
        ours=_RUNS,
    ),
    Reason(
        "Operations given arrays have a config; Keras's refuse one.",
        theirs=r" raises NotImplementedError .*was created by passing non-serializable argument",
        ours=_RUNS,
    ),
    Reason(
        "`.h5` files with operation layers open; Keras cannot read what it wrote.",
        source=r"load_model\('model\.h5'\)",
        theirs=r" raises (ValueError|TypeError) .*Unknown layer: '\w+'",
        ours=_RUNS,
    ),
    Reason(
        "`count_nonzero` keeps the order of the axes that stay; Keras on torch turns it round.",
        source=r"count_nonzero\(.*axis=-?[\d(\[]",
        theirs=r"^count_nonzero\S* (int32|shape|bool|float32) ?\(",
        ours=r"^count_nonzero\S* (int32|shape|bool|float32) ?\(",
    ),
    Reason(
        "`cross` takes the last axis where none is given, as documented; torch, which Keras asks,"
        " takes the first of three components.",
        theirs=r"^cross\S*( eager| symbolic)? \w+ \((\d+, )*3, (\d+, )*3\) \[",
        ours=r"^cross\S*( eager| symbolic)? \w+ \((\d+, )*3, (\d+, )*3\) \[",
    ),
    Reason(
        "The weights of `average` that are a vector belong to its axis; Keras on torch multiplies"
        " them along the last one.",
        source=r"average\(.*axis=-?\d, weights=",
        theirs=r"^average",
        ours=r"^average",
    ),
    Reason(
        "`meshgrid` and `unravel_index` give a tuple, on symbols as on tensors, and `array_split` a"
        " list; on symbols it is the other one in Keras.",
        theirs=r"^(meshgrid|unravel_index)\S* (structure \[|list )|^array_split\S* structure \(",
        ours=r"^(meshgrid|unravel_index)\S* (structure \(|tuple )|^array_split\S* structure \[",
    ),
    Reason(
        "`nonzero` gives one tensor, on symbols as on tensors; Keras gives a tuple on symbols, of"
        " which its models find the first.",
        theirs=r"^nonzero\S* (structure \(|raises ValueError .*Output with path `\d+` is not)",
        ours=r"^nonzero\S* shape |^(nonzero|json|copy|again|\[)",
    ),
    Reason(
        "The dtype of a symbolic result is written into JSON as it is inferred by running the op;"
        " Keras writes down what its separate rules say.",
        source=r"float64|int64|uint32",
        theirs=r'^\{"module": ',
        ours=r'^\{"module": ',
        further=_same_but_dtypes,
    ),
    Reason(
        "`pad_width` as one number is for all axes, as documented; Keras on torch pads the last"
        " axes only.",
        source=r"ops\.pad\(\w+, \d",
        theirs=r"^pad\S*( eager| symbolic)? (\w+ \(|shape )",
        ours=r"^pad\S*( eager| symbolic)? (\w+ \(|shape )",
    ),
    Reason(
        "`saturate_cast` of integers to floats keeps the numbers; Keras computes the greatest"
        " integer as a float, which overflows.",
        source=r"saturate_cast\(\w+, '(b?float\d+)'",
        theirs=r"^saturate_cast\S*( eager| symbolic)? b?float\d+ \(",
        ours=r"^saturate_cast\S*( eager| symbolic)? b?float\d+ \(",
    ),
    Reason(
        "`repeat` takes a number for each part in graphs too; Keras makes an array of objects of"
        " them.",
        theirs=r"^repeat\S* raises ValueError .*Invalid dtype: object",
        ours=_RUNS,
    ),
    Reason(
        "`histogram` works in models; Keras's operation asks its backend for a function that it"
        " does not have.",
        theirs=r" raises AttributeError .*has no attribute 'histogram'",
        ours=_RUNS,
    ),
    Reason(
        "`unique` says where each number is first also in arrays of several axes; Keras's own code"
        " fails on those.",
        source=r"ops\.unique\(.*return_index=True",
        theirs=r"^unique\S*( on arrays)? raises RuntimeError .*Index tensor must have the same",
        ours=_RUNS,
    ),
    Reason(
        "`bincount` of rows counts all of them up to the greatest number; Keras on torch stacks"
        " counts of different lengths.",
        theirs=r"^bincount\S*( on arrays)? raises RuntimeError .*stack expects each tensor",
        ours=_RUNS,
    ),
    Reason(
        "A branch of `cond` may give a tensor from outside; Keras takes it for a cycle.",
        theirs=r"^cond\S* raises ValueError .*from operation 'cond\w*' is part of a cycle",
        ours=_RUNS,
    ),
    Reason(
        "`hstack` takes one symbol of one axis; Keras's rule asks for a second.",
        theirs=r"^hstack\S* raises IndexError .*list assignment index out of range",
        ours=_RUNS,
    ),
    Reason(
        "How many tensors `unstack` gives has to be known; Keras gives as many as the number that"
        " stands in for an unknown size.",
        theirs=r"^unstack\S* structure \(('', ){80}",
        ours=r"raises .*Cannot infer argument `num`",
    ),
    Reason(
        "Keras's stand-ins for unknown sizes are too small or too large for the other arguments.",
        theirs=r"^image\.(pad|crop)_images\S*( symbolic)? raises ValueError .*must be >= 0\."
        r" Received: \w+=-\d\d",
        ours=_RUNS,
    ),
    Reason(
        "What torch refuses in the code of a layer is told in a ValueError that names the layer;"
        " Keras raises torch's RuntimeError with a message of its own.",
        theirs=r" raises RuntimeError .*Exception encountered when calling (Lambda|Mine)\.call\(\)",
        ours=r" raises ValueError .*cannot compute with these inputs: ",
        further=_same_refusal,
    ),
    Reason(
        "`cbrt` of `int64` gives `floatx`, as the other ops do.",
        source=r"int64",
        theirs=r"^cbrt float64",
        ours=r"^cbrt float32",
    ),
)
