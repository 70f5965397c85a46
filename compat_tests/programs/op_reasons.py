"""Where ops of torchkeras are meant to differ from Keras's: found by the programs of `ops`."""

from __future__ import annotations

import re

from .compare import Difference
from .reason import Reason

__all__ = ["OPS"]

# What may follow the name of an op in a label.
_PLACE = r"\S*( on arrays)?"
_RUNS = r"^(?!.*( raises | but computed is ))"

# Reductions that forget `keepdims` over all axes in Keras on torch.
_FORGETFUL = "(sum|prod|nanprod|max|min|amax|amin|ptp)"


def _sizes(line: str) -> list[str]:
    shape = re.search(r" shape \((.*?),?\)", line)
    return shape[1].split(", ") if shape and shape[1] else []


def _knows_as_much(difference: Difference) -> bool:
    """Whether each size that Keras rightly knows of a symbolic result is known here."""
    theirs, ours = map(_sizes, (difference.expected, difference.actual))
    if len(theirs) != len(ours):
        return True  # no size of theirs is one of ours
    computed = re.search(r"but computed is \((.*?),?\)", difference.expected)
    right = computed[1].split(", ") if computed else theirs
    return len(right) == len(theirs) and all(
        here != "None" or there != real
        for there, here, real in zip(theirs, ours, right, strict=True)
        if there != "None"
    )


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


def _same_but_more_known(difference: Difference) -> bool:
    """Whether rows of summaries differ in shapes only, and no size of Keras's is open here."""
    shapes, rows = [], []
    for line in (difference.expected, difference.actual):
        cells = [" ".join(cell.split()) for cell in line.split("│")[1:]]
        shapes.append(re.findall(r"None|\d+", cells[1]))
        rows.append([cells[0], *cells[2:]])
    theirs, ours = shapes
    pairs = zip(theirs, ours, strict=False)
    return (
        rows[0] == rows[1]
        and theirs != ours
        and (len(theirs) != len(ours) or all(b != "None" or a == "None" for a, b in pairs))
    )


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
        "`float64` stays `float64` beside other floats in a `Lambda`, whose symbols are of its"
        " compute dtype in both; Keras's rules of promotion make 32 bits of it.",
        source=r"(?s)float64.*Lambda\(",
        theirs=r" dtype float32 as computed$",
        ours=r" dtype float32 but computed is float64$",
    ),
    Reason(
        "A model that Keras could not call was not saved by it.",
        source=r"load_model\(",
        theirs=r" raises (ValueError .*File not found: filepath=model|FileNotFoundError .*unable to"
        r" open file: name = 'model)",
        # The latter are Keras's own.
        ours=r"^(?!.* raises )| raises ValueError .*Unknown layer: '"
        r"| raises TypeError .*<class 'keras\.src\..* could not be deserialized properly"
        r"| raises AttributeError .*Exception encountered when calling \w+\.call\(\)\."
        r" '(int|NoneType)'",
    ),
    Reason(
        "Sums, products and the greatest and least keep the axes where they are asked to, over all"
        " axes too; Keras on torch forgets it.",
        source=rf"ops\.{_FORGETFUL}\(.*keepdims=True",
        theirs=rf"^{_FORGETFUL}{_PLACE} (shape|bool|\w+\d+) ?\(",
        ours=rf"^{_FORGETFUL}{_PLACE} (shape|bool|\w+\d+) ?\((1, )*1,?\)",
    ),
    Reason(
        "The size of a scalar is the whole number 1; Keras's is a float.",
        theirs=r"^size\S* float32 \(\) 1\.0$",
        ours=r"^size\S* int\d+ \(\) 1$",
    ),
    Reason(
        "Unsigned numbers of torch's go with others; Keras hands them to torch, which refuses.",
        theirs=r" raises RuntimeError .*Promotion for uint16, uint32, uint64 types is not",
        ours=_RUNS,
    ),
    Reason(
        "Adaptive poolings come back from JSON; Keras cannot read the config that it wrote.",
        theirs=r"^adaptive_\w+_pool raises TypeError .*could not be deserialized properly",
        ours=_RUNS,
    ),
    Reason(
        "A wrong call that Keras leaves to torch or Python (RuntimeError, IndexError,"
        " AttributeError) is named in a ValueError or TypeError.",
        # The label is the call itself only where it is written to be wrong.
        theirs=r"^[\w.]+\(.*\) raises (RuntimeError|IndexError|AttributeError|UnboundLocalError"
        r"|KeyError|ZeroDivisionError|OverflowError|AssertionError|NotImplementedError"
        r"|_LinAlgError|LinAlgError|EinopsError|ValueError .*Cannot convert '.*' to a shape)",
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
        theirs=r"\[(None|:, \[0, 2\]|1:)\] raises ValueError"
        r"| raises ValueError .*Unsupported key type for array slice",
        ours=_RUNS,
    ),
    Reason(
        "Every op takes lists, numbers, NumPy arrays and variables; some of Keras's ask them for"
        " what only tensors have.",
        theirs=r" raises (AttributeError|TypeError|ValueError) .*: (?:.*\. )?("
        r"'(list|tuple|int|float|bool|numpy\.\w+|Variable)' object has no attribute"
        r" '(shape|dtype|ndim|device|is_complex|to|unbind|detach)'"
        r"|expected np\.ndarray \(got (Variable|list)\)|object of type 'int' has no len\(\)"
        r"|unsupported operand type\(s\) for [-+*/]: 'list' and '(list|int|float)'"
        r"|Invalid dtype: list|logspace\(\) received an invalid combination of arguments"
        r"|\w+\(\): argument '\w+' \(position \d\) must be Tensor, not \S+)",
        ours=_RUNS,
    ),
    Reason(
        "What is no image is refused by its rank; Keras asks numbers for a shape.",
        source=r"ops\.image\.",
        theirs=r" raises AttributeError .*'(int|float|bool|list|tuple)' object has no attribute"
        r" 'shape'",
        ours=r" raises ValueError .*Invalid images rank",
    ),
    Reason(
        "The greatest or least of nothing is refused as `max` and `min` refuse it; Keras leaves"
        " `amax` and `amin` to torch.",
        theirs=r"^(amax|amin)\S*( on arrays)? raises RuntimeError .*Expected reduction dim",
        ours=r"^(amax|amin)\S*( on arrays)? raises ValueError .*of an empty tensor",
    ),
    Reason(
        "How many of several values differ is not known; Keras counts in the zeros that stand in.",
        source=r"ops\.unique\(",
        theirs=r"^unique\S* shape \((\d+, )*1,?.*\) as computed",
        ours=r"^unique\S* shape \(.*None.*\) as computed",
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
        r"| raises ValueError .*([Ee]xpected|must|should) .*[\(\[](\w+, )*None[,)\]]",
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
        theirs=r" raises (RuntimeError|NotImplementedError|ValueError) .*(not implemented for '\w+'"
        r"|expected scalar type \w+ but found \w+|Expected both inputs to be Half, Float or Double"
        r"|Invalid dtype: complex32|value cannot be converted to type \w+ without overflow"
        r"|Padding size \d+ is not supported for \dD input"
        r"|where expected condition to be a boolean tensor|Subtraction, the `-` operator, with"
        r"|result type \w+ can't be cast to the desired output type|Found dtype \w+ but expected"
        r"|Expected A and B to have the same dtype"
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
        theirs=rf"^count_nonzero{_PLACE} (int32|shape|bool|float32) ?\(",
        ours=rf"^count_nonzero{_PLACE} (int32|shape|bool|float32) ?\(",
    ),
    Reason(
        "`cross` takes the last axis where none is given, as documented; torch, which Keras asks,"
        " takes the first of three components.",
        theirs=r"^cross\S* \w+ \((\d+, )*3, (\d+, )*3\) \[",
        ours=r"^cross\S* \w+ \((\d+, )*3, (\d+, )*3\) \[",
    ),
    Reason(
        "The weights of `average` that are a vector belong to its axis; Keras on torch multiplies"
        " them along the last one.",
        source=r"average\(.*axis=-?\d, weights=",
        theirs=r"^average",
        ours=r"^average",
    ),
    Reason(
        "`meshgrid`, `unravel_index` and `unstack` give a tuple, on symbols as on tensors, and"
        " `array_split` a list; on symbols it is the other one in Keras.",
        theirs=r"^(meshgrid|unravel_index|unstack)\S* (structure \[|list )"
        r"|^array_split\S* structure \(",
        ours=r"^(meshgrid|unravel_index|unstack)\S* (structure \(|tuple )"
        r"|^array_split\S* structure \[",
    ),
    Reason(
        "`nonzero` gives one tensor, on symbols as on tensors; Keras gives a tuple on symbols, of"
        " which its models find the first.",
        theirs=r"^nonzero\S* (structure \(|raises ValueError .*(Output with path `\d+` is not"
        r"|File not found))",
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
        "`pad_width` as one number or one pair is for all axes, as documented; Keras on torch pads"
        " the last axis only.",
        source=r"ops\.pad\((?!.*\(\(\d+, \d+\), \()|load_model\(",
        theirs=r"^pad\S* (\w+ \(|shape )",
        ours=r"^pad\S* (\w+ \(|shape )",
    ),
    Reason(
        "`saturate_cast` of integers to floats keeps the numbers; Keras computes the greatest"
        " integer as a float, which overflows.",
        source=r"saturate_cast\(\w+, '(b?float\d+)'",
        theirs=r"^saturate_cast\S* b?float\d+ \(",
        ours=r"^saturate_cast\S* b?float\d+ \(",
    ),
    Reason(
        "`repeat` takes a number for each part in graphs too; Keras makes an array of objects of"
        " them.",
        theirs=rf"^repeat{_PLACE} raises ValueError .*Invalid dtype: object",
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
        "`bincount` counts nothing in an empty array, as NumPy does, and takes symbols beside"
        " arrays.",
        theirs=r"^bincount\S*( on arrays)? raises ValueError .*(Cannot compute the max of an empty"
        r"|A KerasTensor is symbolic)",
        ours=_RUNS,
    ),
    Reason(
        "The shape of a symbolic result that a summary tells is inferred by running the op; Keras's"
        " separate rules know less of it, or say something else.",
        theirs=r"^│ \w+ \(\w+\)",
        ours=r"^│ \w+ \(\w+\)",
        further=_same_but_more_known,
    ),
    Reason(
        "An axis of size 1 beside one of unknown size may become longer; Keras's rules for these"
        " ops take the shape of one operand.",
        theirs=r"^(bitwise_\w+|(bitwise_)?(left|right)_shift|select|trapezoid|dot_product_attention"
        r"|average)\S* shape \(.* as computed$",
        ours=r" shape \(.*None.* as computed$",
    ),
    Reason(
        "NumPy's `uint16` and `uint32` become the next larger signed integers in every op; a few of"
        " Keras's leave these arrays as they are.",
        theirs=r"^(conj|conjugate|real|get_item|view)\S* (dtype )?uint(16|32) ",
        ours=r"^(conj|conjugate|real|get_item|view)\S* (dtype )?int(32|64) ",
    ),
    Reason(
        "Shifts by a Python number promote truth values as other ops do; Keras leaves these to"
        " torch, which makes `int64` of them.",
        theirs=r"^(bitwise_)?(left|right)_shift\S* (dtype )?int64 ",
        ours=r"^(bitwise_)?(left|right)_shift\S* (dtype )?int32 ",
    ),
    Reason(
        "A Python number beside a tensor of halves is of its dtype, in `logaddexp2` too; Keras"
        " makes a `float32` tensor of it.",
        source=r"logaddexp2\(.*, [\d.]+\)|logaddexp2\(.*, True\)",
        theirs=r"^logaddexp2\S* (dtype )?float32 ",
        ours=r"^logaddexp2\S* (dtype )?b?float16 ",
    ),
    Reason(
        "`sparse_plus` and `sparse_sigmoid` take unsigned numbers; Keras compares them with -1, of"
        " which it makes a great number first.",
        source=r"uint",
        theirs=r"^sparse_(plus|sigmoid)\S* float\d+ \(",
        ours=r"^sparse_(plus|sigmoid)\S* float\d+ \(",
    ),
    Reason(
        "`one_hot` puts the classes at the axis asked for, counted from the end too; Keras on torch"
        " turns the axes another way for those below -1, or fails.",
        source=r"one_hot\(.*axis=-[2-9]",
        theirs=r"^one_hot\S* ",
        ours=rf"^one_hot{_PLACE} ",
    ),
    Reason(
        "`solve` and `solve_triangular` take arrays; Keras hands NumPy's to torch.",
        theirs=r"^solve\S*( on arrays)? raises TypeError .*Concatenation operation is not",
        # Where they run on arrays, symbols of matrices have to be of known sizes, in Keras too.
        ours=r"^(?!.* raises )|^solve\S* raises ValueError .*`b` must have as many rows as `a`",
    ),
    Reason(
        "A variable is a parameter of torch's, and so a tensor.",
        source=r"is_tensor",
        theirs=r"^is_tensor False",
        ours=r"^is_tensor True",
    ),
    Reason(
        "`batch_normalization` and `binary_crossentropy` promote what they are given; Keras"
        " computes in place, in the dtype of one operand.",
        theirs=r"^(batch_normalization|binary_crossentropy)\S* (dtype )?b?float(16|32) ",
        ours=r"^(batch_normalization|binary_crossentropy)\S* (dtype )?float(32|64) ",
    ),
    Reason(
        "`batch_normalization` takes symbols with a scale or an offset alone; Keras asks the one"
        " that is not there for its shape.",
        theirs=r"^batch_normalization\S* raises AttributeError .*'NoneType' object has no",
        ours=_RUNS,
    ),
    Reason(
        "How long a diagonal is follows from the lesser size, which is not known where one is not;"
        " Keras compares a number that stands in for it.",
        source=r"(?s)(layers\.Lambda\(|class Mine).*ops\.diagonal\(",
        theirs=r"^diagonal\S* shape ",
        ours=r"^diagonal\S* shape \((\d+, |None, )*None,?\) as computed",
    ),
    Reason(
        "What `qr` and `svd` give depends on which size is the lesser, so layers of them ask for"
        " known sizes as they do themselves; Keras compares a number that stands in.",
        source=r"layers\.Lambda\(|class Mine\(",
        theirs=r"^(qr|svd)\S* structure ",
        ours=r"^(qr|svd)\S* raises .*Input should have its last 2 dimensions fully-defined",
    ),
    Reason(
        "`geomspace` takes arrays; Keras computes with their logarithms in another order of axes.",
        theirs=r"^geomspace\S*( on arrays)? raises RuntimeError .*must match the size of tensor",
        ours=_RUNS,
    ),
    Reason(
        "Models take tensors and arrays side by side; Keras calls one of them a non-tensor.",
        theirs=r" raises ValueError .*you cannot mix tensors and non-tensors",
        ours=_RUNS,
    ),
    Reason(
        "`conv_transpose` works in models; Keras's operation loses the order of its arguments.",
        theirs=r"^conv_transpose\S* raises AttributeError .*'NoneType' object has no attribute",
        ours=_RUNS,
    ),
    Reason(
        "The config of `ExtractPatches` has its name, and what was given; Keras's has no name.",
        source=r"extract_patches",
        theirs=r'^\{"module": .*"ExtractPatches", "config": \{"size"',
        ours=r'^\{"module": .*"ExtractPatches", "config": \{"name"',
    ),
    Reason(
        "A branch of `cond` may give a tensor from outside; Keras takes it for a cycle.",
        theirs=r"^cond\S* raises ValueError .*from operation 'cond\w*' is part of a cycle",
        ours=_RUNS,
    ),
    Reason(
        "`hstack` and `vstack` take symbols of one axis or none; Keras's rules ask for a second.",
        theirs=r"^(hstack|vstack)\S* raises IndexError .*list assignment index out of range",
        ours=_RUNS,
    ),
    Reason(
        "How many tensors `unstack` gives has to be known; Keras gives as many as the number that"
        " stands in for an unknown size.",
        theirs=r"^unstack\S* structure \(('', ){80}",
        ours=r"raises .*Cannot infer argument `num`",
    ),
    Reason(
        "Unknown sizes are set to those of other arguments where they have to be; Keras puts a"
        " number in for them that is too small, too large or another one.",
        theirs=r" raises RuntimeError .*The size of tensor \w \((83|89)\) must match"
        r"|^image\.(pad|crop)_images\S*( symbolic)? raises ValueError .*must be >= 0\."
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
)
