"""Where torchkeras is meant to differ from Keras in the programs of `errors`.

All of them try a function `mistake`; what it raised stands behind `mistake raises`, its kinds first
and then its message. A reason that begins there holds for no other topic.
"""

from __future__ import annotations

import re

from .compare import Difference
from .reason import Reason

__all__ = ["ERRORS"]

# The mistake goes through, or prints something before it raises.
_RUNS = r"^(?!mistake raises )"
# An object is made with one wrong argument, which the last of its arguments is.
_MADE = r"(?m)^    made = keras\."


def _raises(kinds: str, messages: str = "") -> str:
    """A pattern for a mistake that raises one of these kinds with one of these messages."""
    return rf"^mistake raises ({kinds}) .*BaseException:(?= |$).*({messages})"


def _made(argument: str, value: str = "", owner: str = r"[\w.]+") -> str:
    """A pattern for an object made with this argument."""
    return rf"{_MADE}{owner}\(.*\b({argument})={value}"


def _refused_here(difference: Difference) -> bool:
    return "\nmistake raises " in f"\n{difference.ours.output}"


def _runs_in_both(difference: Difference) -> bool:
    """Whether the mistake goes through."""
    runs = (difference.theirs, difference.ours)
    return not any("\nmistake raises " in f"\n{run.output}" for run in runs)


def _fails_in_fit(difference: Difference) -> bool:
    """Whether a later `fit` is refused by both."""
    runs = (difference.theirs, difference.ours)
    return all("\nfitted raises TypeError " in run.output for run in runs)


def _trained_there(difference: Difference) -> bool:
    """Whether the mistake is refused here, and Keras had made steps by then."""
    made, here = (
        re.search(r"(?m)^steps (\d+)", run.output) for run in (difference.theirs, difference.ours)
    )
    steps = int(here[1]) if here else 0
    return _refused_here(difference) and made is not None and int(made[1]) > steps


# Errors of Python and torch that tell of no argument of the user's.
_ACCIDENTS = (
    r"object has no attribute"
    r"|object is not (iterable|subscriptable|callable)"
    r"|object (does not support|cannot be|doesn't)"
    r"|(list|tuple|string) index out of range"
    r"|unsupported operand type|bad operand type|not supported between instances"
    r"|unhashable type|has no len\(\)|not a mapping|must be str|can only concatenate"
    r"|missing \d+ required|got an unexpected keyword|got multiple values|takes \d+ positional"
    r"|received an invalid combination|argument '\w+'.* must be|only integer|cannot unpack"
    r"|Dimension out of range|too many indices|out of bounds|invalid index"
    r"|size of tensor|must match|[Ee]xpected size|expanded size|mat1 and mat2|equal size"
    r"|shape '\[.*\]' is invalid|Calculated (padded )?(input|output)|non-?negative|Kernel size"
    r"|not implemented for|with a bool tensor|with two bool tensors|element 0 of tensors"
    r"|normalized_shape|number of dimensions|division by zero|modulo by zero|einsum\(\)"
    r"|cannot be (interpreted|converted)|can't be cast|scalar type|overflow|setting an array"
    r"|invalid literal|could not convert|not divisible|stack expects|cannot be NaN|infinity"
    r"|assignment index|index out of range in self|boundaries tensor must|primitive descriptor"
    r"|Given groups=|appears multiple times|Input and output sizes|Class values must be smaller"
    r"|stft\(|hann_window|maximum size for tensor|minlength should|inconsistent|lower bound"
    r"|negative dimension|invalid shape dimension|scalar tensor expected|Tensor list must have"
    r"|Boolean value of Tensor|pop from an empty|expected Tensor as element|Can't call numpy"
    r"|path should be string|ufunc '\w+'|call\(\)\. +Arguments received"
    r"|to EagerTensor of dtype|length must be|requires grad|has no gradient|No active exception"
    r"|unsupported range|local variable|No such file|must be real number|not a sequence"
    r"|expected (str|sequence|np)"
)
_NAMED = (
    r"(given|Given|received|Received|expected|Expected|must|Fix|cannot|Cannot|Unknown|unknown"
    r"|should|does not|takes|missing|is not an axis|the equation names)\b"
)
_OURS = "ValueError|TypeError|FileFormatError|OutputNameError|UnknownNameError"

# What torch and Python say by themselves about an argument of a type that does not fit.
_RAW = (
    r"invalid combination|unsupported operand|argument '\w+'|can't multiply|can't convert"
    r"|doesn't apply to|not callable|not supported between|bad operand|expected str, bytes"
    r"|not iterable|not bool"
    r"|invalid data type|only integer tensors|not a sequence|int\(\) argument|must be real number"
    r"|can only concatenate|Boolean value of Tensor|must be a (str|dict|number)|not support"
    r"|cannot be interpreted|must be (a )?number|must be (real|str)|must be of integers"
)
# What Keras says of the same, in making a tensor, an axis or a shape of it.
_NO_TENSOR = (
    r"Invalid dtype: (str|object|dict|Text)|Unsupported dtype for PyTorch|unsupported type"
    r"|`value` must be an integer|could not be broadcast|is ambiguous|at most one unknown dimension"
    r"|Cannot convert '|KerasTensor is symbolic|too many dimensions 'str'|too many values to unpack"
    r"|fully-defined|Received indices_or_sections|not enough values to unpack|inhomogeneous"
)
_NUMBER = r"-?[\d.]+(e\d+)?|float\('nan'\)|True|np\.\w+\([\d.]+\)"

ERRORS: tuple[Reason, ...] = (
    # Both refuse --------------------------------------------------------------------------------
    Reason(
        "Where Keras fails by accident within its own code or within torch's, torchkeras raises a"
        " ValueError or TypeError that says what was given and what was expected.",
        theirs=_raises(
            "AttributeError|KeyError|IndexError|UnboundLocalError|RuntimeError|NotImplementedError"
            "|OverflowError|AssertionError|ZeroDivisionError|TypeError|UFuncTypeError",
            _ACCIDENTS,
        )
        + r"|^mistake raises KeyError .*: \S+$",
        ours=_raises(_OURS, _NAMED),
    ),
    Reason(
        "An argument that is wrong is refused where it is given, by name; Keras refuses it at its"
        " first use.",
        source=_MADE,
        theirs=_raises("ValueError|TypeError"),
        ours=_raises(_OURS, _NAMED),
    ),
    Reason(
        "What follows a fit that a fault of torch's ended in Keras: it has made fewer steps.",
        theirs=r"^(evaluated|predicted|weights|kept|steps)",
        ours=r"^(evaluated|predicted|weights|kept|steps)",
        further=lambda difference: "grad_weight must be contiguous" in difference.theirs.output,
    ),
    Reason(
        "A value of a type that nothing can be computed with is a TypeError, as in Python; Keras"
        " fails in making a tensor or an axis of it, with a ValueError that names neither.",
        theirs=_raises("ValueError", _NO_TENSOR),
        ours=_raises("TypeError", _RAW),
    ),
    Reason(
        "A sequence where one number belongs fails within torch or Python on both sides, in another"
        " of their functions.",
        source=_MADE + r".*=([\[(].*[\])]|\{.*\}|'.*'|float\('nan'\))(\)$|, )",
        theirs=_raises("TypeError|RuntimeError|AttributeError", _ACCIDENTS),
        ours=_raises(
            "RuntimeError|TypeError", _RAW + r"|size of tensor|Tensor list must have|not a sequence"
        ),
    ),
    Reason(
        "Of two things that are wrong with it torchkeras names the other one: NumPy's integers are"
        " integers.",
        source=_MADE + r".*=np\.int64\(2\)",
        theirs=_raises("ValueError|TypeError"),
        ours=_raises("ValueError|IndexError"),
    ),
    Reason(
        "What is no loss is said to be none, and a config that lacks an argument to lack it.",
        source=r"add_loss\(\"text\"\)|\.from_config\(",
        theirs=_raises("NotImplementedError|KeyError"),
        ours=_raises(_OURS, "`add_loss\\(\\)` takes|Unrecognized keyword|missing \\d+ required"),
    ),
    Reason(
        "An unknown `fill_mode` is a NotImplementedError, of whatever type it is.",
        source=_made("fill_mode", owner=r"layers\.RandomElasticTransform"),
        theirs=_raises("TypeError", "unhashable type"),
        ours=_raises("NotImplementedError", "Unknown `fill_mode`"),
    ),
    Reason(
        "A class's own mistake in `build` or `call` is raised as it is; Keras hides it behind a"
        " RuntimeError about building, or one of its own about inferring shapes.",
        source=r"(?m)^class Mine\(",
        theirs=_raises(r"\w+", r"Unable to automatically build|Could not automatically infer"),
        ours=_raises(r"\w+Error"),
    ),
    Reason(
        "A layer without `call` is told so.",
        source=r"def cal\(|layers\.Layer\(\)",
        theirs=_raises("TypeError|NotImplementedError|AttributeError|ValueError"),
        ours=_raises("NotImplementedError", "does not have a `call` method"),
    ),
    Reason(
        "A file descriptor is no file name.",
        source=_made("filename", owner=r"callbacks\.CSVLogger"),
        theirs=_raises("OSError", "Bad file descriptor") + r"|^history dict",
        ours=_raises("TypeError", "expected str, bytes"),
    ),
    # Torchkeras alone refuses -------------------------------------------------------------------
    Reason(
        "What cannot be is refused by `compile` and `fit`; Keras takes it and does something else.",
        source=r"(?m)^    .*(shuffle=\"perhaps\"|validation_split=|steps_per_execution=0"
        r"|nonsense|loss=3|acuracy|catgorical|mean_sqared|loss_weights=)",
        theirs=r"^mistake (None|raises ValueError)|^h dict",
        ours=_raises(
            _OURS,
            r"`shuffle` must be|leaves no samples|`steps_per_execution` must be"
            r"|Unknown (loss|metric)|Could not interpret this (loss|metric)"
            r"|names an output that the model|Unrecognized keyword arguments",
        ),
    ),
    Reason(
        "A variable has the shape that it was asked for.",
        source=r"keras\.Variable\(numbers\(2\), shape=\(3,\)\)",
        theirs=r"^mistake None$",
        ours=_raises("ValueError", "The initial value has shape"),
    ),
    Reason(
        "`clone_model` refuses what is no model and no layer; Keras gives it back.",
        source=r"clone_model\((3|None)\)",
        theirs=r"^mistake None$",
        ours=_raises("ValueError", "`clone_model` clones models and layers"),
    ),
    Reason(
        "Convolutions train whatever the memory of their kernels looks like; torch's slow kernel,"
        " which Keras asks, wants gradients that are contiguous.",
        source=r"Conv",
        theirs=r"^fitted raises RuntimeError .*grad_weight must be contiguous",
        ours=r"^fitted dict",
    ),
    Reason(
        "Keyword arguments that a model does not know are refused.",
        source=r"keras\.Model\(.*nonsense=|model\(x, nonsense=1\)",
        theirs=r"^mistake None$",
        ours=_raises(
            "ValueError|TypeError", "Unrecognized keyword arguments passed to|unexpected keyword"
        ),
    ),
    Reason(
        "The weight of the old value in a moving average is refused outside of [0, 1); Keras goes"
        " on with numbers that grow without bound, or fails in dividing by zero.",
        source=_made(r"(adam_)?beta_[12]|rho|momentum", owner=r"optimizers\.\w+"),
        theirs=r"^v |^mistake raises \w+",
        ours=_raises("ValueError|TypeError", r"(`\w+`|Argument `beta_1`) must be"),
    ),
    Reason(
        "A fraction that is not a number is refused.",
        source=_made(r"recall|precision|specificity|sensitivity|num_regressors", r"float\('nan'\)"),
        theirs=r"^result ",
        ours=_raises("ValueError", r"must be in the range|num_regressors"),
    ),
    Reason(
        "An empty list of axes is refused: torch, and with it some of Keras's functions, take it"
        " for all axes, others for none.",
        source=_made(r"axis|attention_axes", r"(\[\]|\(\))"),
        theirs=r"^(loss|result|value|y) ",
        ours=_raises("ValueError", r"`axis` must name at least one axis|no axis to attend over"),
    ),
    Reason(
        "A number of bins, heads or features that is no positive integer is refused; Keras makes"
        " empty tensors, or another number of bins.",
        source=_made(r"num_bins|num_query_heads|output_shape"),
        theirs=r"^(y|config) ",
        ours=_raises(
            "ValueError", r"`num_bins` for|must be a positive integer|sizes in `output_shape` must"
        ),
    ),
    Reason(
        "A constructor refuses what cannot be; Keras takes it and does something else.",
        source=_MADE,
        theirs=r"^(?!mistake raises )",
        ours=_raises(
            _OURS,
            r"`attention_axes` must be|Unknown `data_format` value"
            r"|Cannot build a (regularizer|constraint|initializer)|Unknown regularizer"
            r"|`padding` (argument )?must be"
            r"|initializer returned another shape|Could not locate class|works on strings"
            r"|RandomFlip: `mode`|`encoding` must be|`ignore_class` must be|should verify"
            r"|Threshold values must|argument should be a number|should have a defined dimension"
            r"|Found invalid dimension|must be a number or None|`target_shape` must be"
            r"|`sequence_stride` must be|length must be non-negative|`mask_value` is not"
            r"|`(mask_token|oov_token|mask_value|vocabulary|num_thresholds|thresholds)`"
            r" must be"
            r"|neither all strings nor all numbers|rows of these strings have different lengths",
        ),
    ),
    Reason(
        "A sequence, a string or `None` for a number is a TypeError, or a RuntimeError of torch,"
        " where Keras broadcasts it or leaves it alone.",
        source=_MADE + r".*\b(?!boundaries|thresholds|target_class_ids|axis|equation|monitor)\w+="
        r"([\[({]|'|None|object\(\))",
        theirs=_RUNS,
        ours=_raises("TypeError|RuntimeError", _RAW + "|Tensor list must have|reshape|where|clamp"),
    ),
    # Keras alone refuses ------------------------------------------------------------------------
    Reason(
        "NumPy's integers are integers, also for `batch_size` and the sizes of layers.",
        source=r"np\.int64",
        theirs=_raises(
            "ValueError|TypeError", r"[Ii]nteger|Received|must be|should be|Expected an int"
        ),
        ours=_RUNS,
    ),
    Reason(
        "`BatchNormalization(synchronized=True)` is there.",
        source=_made("synchronized"),
        theirs=_raises(r"\w+", r"synchronized=True is only supported|is ambiguous"),
        ours=_RUNS,
    ),
    Reason(
        "Flash attention is left to torch where it has a kernel, as on a CPU.",
        source=_made("flash_attention"),
        theirs=_raises("RuntimeError", "Flash attention is not supported"),
        ours=_RUNS,
    ),
    Reason(
        "Whole numbers and `True` are numbers: what is computed with them is of `floatx()`. Keras"
        " on torch computes in integers, with other results or none.",
        source=_MADE + rf".*=({_NUMBER})(\)$|, )|values=\(1, 2, 3\)",
        theirs=r"^rate (float32|int32) |"
        + _raises("RuntimeError|NotImplementedError", r"bool tensor|not implemented for 'Int'"),
        ours=r"^(rate|y) float32 ",
    ),
    Reason(
        "Attributes may be set before `super().__init__()`, and it is missed at the first use.",
        source=r"(?m)^class Mine\(",
        theirs=_raises("AttributeError|RuntimeError", r"before Module.__init__|forgot to call"),
        ours=_RUNS + r"|you forgot to call `super\(\).__init__\(\)`",
    ),
    Reason(
        "A weight is the attribute of its name, whoever kept it: it is a parameter of a module.",
        source=r"\n        self\.add_weight\(",
        theirs=_raises(r"\w+", r"has no attribute 'scale'|Unable to automatically build"),
        ours=_RUNS,
    ),
    Reason(
        "A smoothing outside of [0, 1] gives a loss, as on Keras's other backends.",
        source=_made("label_smoothing"),
        theirs=_raises("RuntimeError", "all elements of target should be between"),
        ours=_RUNS,
    ),
    Reason(
        "The axis of an IoU is that of the scores; class numbers have none. No threshold gives no"
        " result.",
        source=_made(r"axis|thresholds", owner=r"metrics\.\w+"),
        theirs=r"^result |" + _raises("IndexError|TypeError|ValueError|RuntimeError"),
        ours=r"^result ",
    ),
    Reason(
        "Keras's own lookups without a vocabulary and symbolic draws fail within TensorFlow or"
        " torch without a message; here they give the unknown token's number, and draws.",
        source=r"(String|Integer)Lookup\((vocabulary=None)?\)|TextVectorization\(\)|MixUp\(",
        theirs=_raises("RuntimeError|NotImplementedError", "Exception encountered"),
        ours=_RUNS,
    ),
    Reason(
        "A class number beyond the classes is a row of zeros in `ops.one_hot`, as on Keras's other"
        " backends.",
        source=r"ops\.one_hot\(",
        theirs=_raises("RuntimeError", "Class values must be smaller than num_classes"),
        ours=_RUNS,
    ),
    Reason(
        "Model files are known by what they hold, whatever their suffix.",
        source=r"os\.rename",
        theirs=_raises(r"\w+", "File format not supported|File not found|file signature not found"),
        ours=_RUNS,
    ),
    Reason(
        "An optimizer's class stands for the optimizer with its defaults, as with losses.",
        source=r"compile\(keras\.optimizers\.SGD,",
        theirs=_raises("ValueError", "Could not interpret optimizer identifier: <class")
        + "|^(state|fitted|evaluated)",
        ours=r"^(mistake None|state|steps)",
    ),
    Reason(
        "A whole number is a shape of one axis, and a number is a loss.",
        source=r"shape=shape\[-1\]|add_loss\(3\)",
        theirs=_raises("ValueError", r"Cannot convert '\d+' to a shape|`add_loss\(\)` can only"),
        ours=_RUNS,
    ),
    Reason(
        "Normalization over the first axes is computed; Keras on torch hands the sizes to a kernel"
        " that knows only the last ones.",
        source=_made("axis", owner=r"layers\.(Layer|RMS)Normalization"),
        theirs=_raises("RuntimeError", "Given normalized_shape="),
        ours=r"^y ",
    ),
    # Other values -------------------------------------------------------------------------------
    Reason(
        "`True` is no size: layers refuse it, or take it for 1 and write 1 into their configs.",
        source=_MADE + r".*=True\b",
        theirs=r"^((y|v|loss|result|value|rate) |config\S* .*True)|" + _raises("TypeError"),
        ours=r"^config\S* .*1|^y |"
        + _raises("ValueError|TypeError|RuntimeError", "bool|Boolean|True"),
    ),
    Reason(
        "Configs hold plain numbers, lists and tuples, which go into files as they are.",
        source=_MADE,
        theirs=r"^config\S* (.*(tensor\(|np\.|True)|Tracked|float(32|64) |-?\d+\.0$)",
        ours=r"^config\S* ",
    ),
    Reason(
        "Arguments that Keras leaves out of its configs are in them where they are not the default,"
        " so that what is loaded computes the same.",
        source=_made(r"delta|axis|gain|from_sorted_ids"),
        theirs=r"^config None$",
        ours=r"^config (?!None$)",
    ),
    Reason(
        "An empty `output_shape` is none.",
        source=_made("output_shape", r"(0|''|\{\}|\(\)|\[\])", r"layers\.MultiHeadAttention"),
        theirs=r"^config (0|''|dict \[\]|tuple 0|list 0)$",
        ours=r"^config None$",
    ),
    Reason(
        "Numbers that are infinite or NaN on both sides are not compared further.",
        source=_made(r"epsilon|muon_\w+|label_weights|scale|momentum|fill_value"),
        theirs=r"\b(inf|nan)\b",
        ours=r"\b(inf|nan)\b",
    ),
    Reason(
        "`ScheduleFreeAdamW` does without `beta_1`, which cancels out; Keras divides by it.",
        source=_made("beta_1", "(0|0.0)", r"optimizers\.ScheduleFreeAdamW"),
        theirs=r"^v .*nan",
        ours=r"^v ",
    ),
    Reason(
        "A row of zeros stays one under `UnitNormalization`, with a gradient of zero; Keras's is"
        " NaN, and all weights after it.",
        source=r"UnitNormalization\(",
        theirs=r"\bnan\b",
        ours=r"^(fitted|evaluated|predicted|weights|kept)\S* (?!.*\bnan\b)",
    ),
    Reason(
        "What an optimizer makes of a negative `epsilon`, or of a polynomial that grows without"
        " bound, is not compared.",
        source=_made(r"epsilon|beta_2_decay|muon_\w+", owner=r"optimizers\.\w+"),
        theirs=r"^v .*(\bnan\b|e\+\d\d)",
        ours=r"^v |" + _raises("RuntimeError", "without overflow"),
    ),
    Reason(
        "`weights` of `Bidirectional` are set, as those of other layers; Keras forgets them.",
        source=_made("weights", owner=r"layers\.Bidirectional"),
        theirs=r"^y |" + _raises("TypeError", "unhashable type"),
        ours=_raises("ValueError", r"set_weights\(weights\)"),
    ),
    Reason(
        "`RandomBrightness` leaves its input as it is; Keras on torch adds to it in place, and so"
        " `RandAugment` and `AugMix` always brighten.",
        source=r"layers\.(RandAugment|AugMix)\(",
        theirs=r"^y ",
        ours=r"^y ",
    ),
    Reason(
        "`RandomElasticTransform` draws from its own seed; Keras on torch from torch's generator,"
        " whatever the seed.",
        source=r"layers\.RandomElasticTransform\(",
        theirs=r"^y ",
        ours=r"^y ",
    ),
    # What is left of it -------------------------------------------------------------------------
    Reason(
        "What is refused leaves the model as it was; in Keras it is built or compiled by then, or"
        " has trained before its validation data is looked at.",
        theirs=r"^(state True|kept|steps)",
        ours=r"^(state|kept|steps|fitted|evaluated)",
        further=_refused_here,
    ),
    Reason(
        "What torchkeras refuses at once has not trained the model; Keras has by then.",
        theirs=r"^(fitted|evaluated|predicted|weights)",
        ours=r"^(fitted|evaluated|predicted|weights)",
        further=_trained_there,
    ),
    Reason(
        "A metric that cannot be called is refused before a step; Keras calls it after one.",
        source=r"metrics=\[lambda a: a\]",
        theirs=r"^(predicted|weights)",
        ours=r"^(predicted|weights)",
        further=_fails_in_fit,
    ),
    Reason(
        "Each loss of a list for one output counts; Keras computes the first alone, and says 0 of"
        " each.",
        source=r"model\.compile\([\"']sgd[\"'], \[[\"']mse[\"'], [\"']mae[\"']\]\)",
        theirs=r"^(kept|predicted|weights|fitted|evaluated)",
        ours=r"^(kept|predicted|weights|fitted|evaluated)",
        further=_runs_in_both,
    ),
    Reason(
        "A name is what a name may be, also where it is set later; Keras looks at it in the"
        " constructor alone.",
        source=r"\.name = ['\"][^'\"]*/",
        theirs=_RUNS,
        ours=r"^mistake raises ValueError .*cannot contain character `/`",
    ),
)
