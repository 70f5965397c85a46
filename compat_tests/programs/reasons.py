"""Where torchkeras is meant to differ from Keras: each a sentence, and how to tell it.

A reason explains a difference only if it matches what both sides printed or raised, so that another
fault in the same program stays a fault.
"""

from __future__ import annotations

import re

from .compare import Difference
from .error_reasons import ERRORS
from .op_reasons import OPS
from .reason import Reason

__all__ = ["REASONS", "Reason", "reason_for"]


def _same_but_dtypes_of_results(difference: Difference) -> bool:
    """Whether two configs differ only in the dtypes that they note for the results of calls."""
    one, other = (
        re.sub(r'"dtype": "\w+", "keras_history"', "", text)
        for text in (difference.expected, difference.actual)
    )
    return one == other


# Found by the programs of `layers`.
_LAYERS: tuple[Reason, ...] = (
    Reason(
        "A layer given to a constructor is part of the config that is derived from it; Keras wants"
        " a `get_config` for any argument but numbers and text.",
        source=r"inner=None",
        theirs=r"^(config|again) raises NotImplementedError|NotImplementedError:\s+Object Custom",
        ours=r"^(config|again) (?!raises)|^ran to its end$",
    ),
    Reason(
        "The shape of an output is inferred from `call` where a class has no"
        " `compute_output_shape`; Keras's raises then.",
        source=r"layer\.compute_output_shape\(",
        theirs=r"^shape raises NotImplementedError "
        r"|NotImplementedError: Layer \w+ does not have a `compute_output_shape` method",
        ours=r"^shape (tuple|list|dict) \d|^ran to its end$",
    ),
    Reason(
        "A class whose constructor takes no `trainable` or `dtype` is made again from its derived"
        " config, which holds them; Keras's cannot be.",
        source=r"def __init__\(self, units(?!.*\*\*kwargs)",
        theirs=r"got an unexpected keyword argument '(trainable|dtype)'",
        ours=r"^ran to its end$|ValueError: Layer '\w+': you cannot add new elements of state",
    ),
    Reason(
        "A tensor `@` a weight of another float dtype is `ops.matmul`, on data as on symbolic"
        " tensors; Keras leaves data to torch, which refuses to mix dtypes.",
        source=r"(?s)x @ self\.\w+.*dtype='float64'",
        theirs=r"RuntimeError: (?s:.*)expected m1 and m2 to have the same dtype, but got: float",
        ours=r"^ran to its end$",
    ),
    Reason(
        "The symbolic result of a layer of another dtype has the dtype that it has on data; Keras's"
        " inference does not cast the weights, and its rules make 32 bits of `float64`.",
        source=r"dtype='(mixed_b?float16|float64)'",
        theirs=r"^symbolic \(.*\) float32$",
        ours=r"^symbolic \(.*\) (b?float16|float64)$",
    ),
    Reason(
        "The symbolic result of a layer of another dtype has the dtype that it has on data; Keras's"
        " inference does not cast the weights, and its rules make 32 bits of `float64`.",
        theirs=r"^config '\{.*\"dtype\": \"float32\", \"keras_history\"",
        ours=r"^config '\{.*\"dtype\": \"(b?float16|float64)\", \"keras_history\"",
        further=_same_but_dtypes_of_results,
    ),
    Reason(
        "A subclass's `call` may leave out what the `build` that it inherits has a default for.",
        source=r"(?s)class Mine\(layers\.MultiHeadAttention\).*def call\(self, query, value, \*\*",
        theirs=r"received `build\(\)` argument `key_shape`, but `call\(\)` does not have",
        ours=r"^ran to its end$",
    ),
    Reason(
        "`.h5` files with operation layers open; Keras cannot read what it wrote.",
        source=r"load_model\('model\.h5'",
        theirs=r"ValueError: Only input tensors may be passed as positional arguments"
        r"|TypeError: .*too many positional arguments",
        ours=r"^ran to its end$",
    ),
)

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
        ours=r"^compiled\.(loss|metrics|weighted_metrics|loss_weights) ['\"](?!None)",
    ),
    Reason(
        "The summary of a subclassed model shows open batch sizes and the shapes of users' layers;"
        " Keras shows the batch of the last call, stand-ins and question marks.",
        source=r"\.summary\(",
        theirs=r"│ .*│ +(\(\d+, \d+\)|\?) +│ ",
        ours=r"│ .*│ +\((None|\d+), \d+\) +│ ",
    ),
    Reason(
        "A class whose constructor does not take all that its derived config holds is made again;"
        " Keras's cannot be.",
        source=r"def __init__\(self, (rate=0\.5|units=3)\):"
        r"|super\(\).__init__\(units, activation='tanh', \*|use_bias=False, \*\*kwargs",
        theirs=r"^copied raises TypeError ",
        ours=r"^(Sequential|Functional|Whole) (True|False) \d+$",
    ),
    Reason(
        "`clone_model` knows the classes of the layers that it clones, inner models included; Keras"
        " wants them registered.",
        source=r"again = keras\.models\.clone_model\(model\)",
        theirs=r"^copied raises TypeError ",
        ours=r"^(Sequential|Functional) (True|False) \d+$",
    ),
    Reason(
        "A loss that depends on no trainable weight is refused with a ValueError that says so; in"
        " Keras torch raises a RuntimeError.",
        theirs=r"^(history raises|line \d+:) RuntimeError.*element 0 of tensors does not require",
        ours=r"^(history raises|line \d+:) ValueError.*loss does not depend on any trainable",
    ),
)


def _with_nadam_in_a_loss_scale(difference: Difference) -> bool:
    """Whether the program says so of its optimizer."""
    return re.search(r"^scale [\d.]+ \d+ \d+ Nadam ", difference.theirs.output, re.M) is not None


# Lines of losses, weights and results.
_NUMBERS = r"^[a-z]+( \d+)?(\.\w+)* (float32 \(|-?[\d.e-]+$|nan$)"

# Found by the programs of `training`.
_TRAINING: tuple[Reason, ...] = (
    Reason(
        "`training` said in a functional call holds whatever the model is called with, as Keras's"
        " guide to fine-tuning promises; Keras lets the mode of `fit` go before it.",
        source=r"(?s)^(?!.*keep_word).*inputs, training=(True|False)\)",
        theirs=_NUMBERS,
        ours=_NUMBERS,
    ),
    Reason(
        "Targets that do not fit an output raise a ValueError that names both shapes; in Keras"
        " torch's broadcasting fails.",
        source=r"(?s)keras\.Model\(\w+, \{.*y = \[",
        theirs=r"RuntimeError: The size of tensor a \(\d+\) must match",
        ours=r"ValueError: \w+: arguments `y_true` and `y_pred` must have the same shape",
    ),
    Reason(
        "Weights or a mask that do not fit a loss raise a ValueError that names both shapes; in"
        " Keras torch's broadcasting fails.",
        theirs=r"RuntimeError: The (size|expanded size) of (the )?tensor a? ?\(\d+\) must match",
        ours=r"ValueError: `sample_weight`.* does not fit the (values|mask) it weights",
    ),
    Reason(
        "Weights that spread over a mask with more columns are multiplied with it; Keras does so in"
        " place, which torch refuses.",
        source=r"_keras_mask|Masking|mask_zero",
        theirs=r"RuntimeError: output with shape .* doesn't match the broadcast shape",
        ours=r"^ran to its end$",
    ),
    Reason(
        "`ModelCheckpoint` saves the best of batches in the first epoch too; Keras has not chosen"
        " there yet how to compare them.",
        source=r"save_best_only=True, [^)]*save_freq=\d",
        theirs=r"TypeError: 'NoneType' object is not callable",
        ours=r"^ran to its end",
    ),
    Reason(
        "Configs of `Huber` hold its `delta`, and of `CosineSimilarity` its `axis`; Keras's do"
        " not.",
        source=r"losses\.(Huber\(delta|CosineSimilarity\(axis)=",
        theirs=r'^ *"name": |^again float',
        ours=r'^ *"(delta|axis)": |^again float',
    ),
    Reason(
        "`Nadam` in a `LossScaleOptimizer` goes on from a file as if it had not stopped; Keras's"
        " file leaves out the product of its momenta, which begins anew.",
        source=r"load_model\(",
        theirs=r"^(loaded|weights)\.",
        ours=r"^(loaded|weights)\.",
        further=_with_nadam_in_a_loss_scale,
    ),
    Reason(
        "Convolutions with one filter train on few rows; in Keras torch refuses the memory of their"
        " gradient.",
        source=r"layers\.\w*Conv\w*\(",
        theirs=r"RuntimeError: slow_conv\w+: grad_weight must be contiguous",
        ours=r"^ran to its end$",
    ),
)

# Found by the programs of `data`.
_DATA: tuple[Reason, ...] = (
    Reason(
        "What lookup layers encode is of `floatx()`, as both libraries promise for symbolic"
        " outputs; Keras's layers give int64 when called on data.",
        source=r"(Lookup|TextVectorization)\(.*output_mode='(one_hot|multi_hot|count)'",
        theirs=r"^(called|mapped\.\d|sequential|y\d) int64 ",
        ours=r"^(called|mapped\.\d|sequential|y\d) (float(16|32|64)|bfloat16) ",
    ),
    Reason(
        "A batch is a tuple of its parts, and each part is nested as the user's code nested it;"
        " Keras on torch hands the lists that torch's `DataLoader` makes of tuples.",
        source=r"def look\(",
        theirs=r"^(train|test|predict)\S* list \d",
        ours=r"^(train|test|predict)\S* tuple \d",
    ),
    Reason(
        "`train_on_batch` and its sisters hand a step tensors, their floats of `floatx()`, as `fit`"
        " does; Keras hands whatever it was given.",
        source=r"_on_batch\(",
        theirs=r"^(train|test|predict)\S* (False \w+|True torch\.float\d+) ",
        ours=r"^(train|test|predict)\S* True torch\.",
    ),
    Reason(
        "A batch given to `train_on_batch` and its sisters may hold arrays and tensors together.",
        source=r"_on_batch\(",
        theirs=r"^line \d+: ValueError: In a nested call\(\) argument, you cannot mix tensors and",
        ours=r"^ran to its end$",
    ),
    Reason(
        "A generator goes on where it stopped, and one that has ended yields no more; Keras begins"
        " each further epoch and validation with the two batches that it had looked at.",
        source=r"(?s)def batches\(\).*epochs=2.*callbacks=\[told\]",
        theirs=r"^worn [\d.e-]+$|\(more output: worn [\d.e-]+\)$|^in turn False$",
        ours=r"^ran to its end$|^worn [\d.e-]+$|^in turn True$",
    ),
    Reason(
        "An epoch of a `PyDataset` has each of its batches once; with workers, Keras leaves batches"
        " in its queue when it looks at the first, and the next epoch begins with those.",
        source=r"trained\(Batches\(workers=2",
        theirs=r"^as with one False$",
        ours=r"^as with one True$",
    ),
    Reason(
        "`to_categorical` gives floats for tensors too, and counts the classes where it is not"
        " told; Keras on torch does neither.",
        source=r"to_categorical\(torch",
        theirs=r"^categories int64 |one_hot\(\): argument 'num_classes'",
        ours=r"^categories float32 |^ran to its end$",
    ),
    Reason(
        "No sequences are padded to an array of none; Keras asks NumPy for the longest of them.",
        source=r"pad_sequences\(\[\]\)",
        theirs=r"^padded raises ValueError ",
        ours=r"^padded int32 \(0, 0\) \[\]$",
    ),
    Reason(
        "The images of a folder are float32, as documented; `nearest` leaves them uint8 in Keras.",
        source=r"interpolation='nearest'",
        theirs=r"^part uint8 ",
        ours=r"^part float32 ",
    ),
    Reason(
        "`split_dataset` takes a fraction beside a count, and without `shuffle` the parts are the"
        " beginning and the end; Keras hands torch sizes that do not add up, and no generator, by"
        " which it shuffles all the same.",
        source=r"split_dataset\(",
        theirs=r"Sum of input lengths does not equal|^kept False$",
        ours=r"^ran to its end$|^kept True$",
    ),
    Reason(
        "Data without samples is refused with what its shapes are; Keras fails in `predict` at a"
        " variable that was never set.",
        source=r"predict\(a\[:0\]",
        theirs=r"^call \d raises UnboundLocalError ",
        ours=r"^call \d raises ValueError ",
    ),
    Reason(
        "A fraction for validation that leaves nothing to train or to validate on is refused.",
        source=r"validation_split=(1\.5|0\.01)",
        theirs=r"^call \d+ 'History'$",
        ours=r"^call \d+ raises ValueError ",
    ),
    Reason(
        "What keeps a model from being built is raised as it is; Keras raises a RuntimeError with"
        " its text inside.",
        source=r"model\.fit\(\{'b': a\}",
        theirs=r"^call \d+ raises RuntimeError ",
        ours=r"^call \d+ raises InputStructureError ",
    ),
    Reason(
        "TensorFlow's tensors and lists of arrays are data to `adapt` to as a whole; Keras on torch"
        " takes their first axis for one of batches.",
        source=r"layer\.adapt\((tf\.constant|list)\(",
        theirs=r"All `axis` values must be in the range|The layer was built with"
        r"|^(mean|variance) float32 \(1,\) ",
        ours=r"^ran to its end$|^(mean|variance) float32 \(1, 1\) ",
    ),
    Reason(
        "Unsigned numbers of 16 and 32 bits are int32 and int64 in a pipeline already, as Keras on"
        " torch makes them for `fit`: torch computes with no others.",
        source=r"uint(16|32)",
        theirs=r"^element\S* uint(16|32) ",
        ours=r"^element\S* int(32|64) ",
    ),
    Reason(
        "Weights that are not nested like the targets are refused in words; on a batch alone Keras"
        " stumbles over the name that is missing.",
        source=r"_on_batch\(.*sample_weight=\{'p': w\}",
        theirs=r"^(trained|tested) raises KeyError ",
        ours=r"^(trained|tested) raises ValueError ",
    ),
    Reason(
        "Targets of more or fewer rows than the inputs are refused in words; on a batch alone Keras"
        " leaves it to torch.",
        source=r"train_on_batch\(a, y\[:-1\]\)",
        theirs=r"^call \d+ raises RuntimeError ",
        ours=r"^call \d+ raises ValueError ",
    ),
    Reason(
        "A batch given to `train_on_batch` and its sisters may be frames and series, as in `fit`.",
        source=r"frame = pd\.DataFrame",
        theirs=r"^(trained|tested|predicted) raises (Attribute|Value|Key|Type)Error ",
        ours=r"^(trained|tested) list 2$|^predicted float32 ",
    ),
    Reason(
        "A frame of numbers and truth values is one of numbers; pandas makes objects of it, which"
        " Keras refuses.",
        source=r"x = frame\[\[.*'flag'\]\]",
        theirs=r"^(history|evaluated|predicted) raises ValueError ",
        ours=r"^(history dict|evaluated list|predicted float32) ",
    ),
    Reason(
        "Classes without a weight count one, whatever the data; for `tf.data` Keras looks them up"
        " in a table that ends at the largest class with one.",
        source=r"(?s)tf\.data.*class_weight=\{(1: 2\.0|0: 1\.0, 1: 2\.0)\}",
        theirs=r"^history raises InvalidArgumentError ",
        ours=r"^history dict ",
    ),
    Reason(
        "Datasets of torch and iterators of any kind are data, as loaders and generators are.",
        source=r"(?s)data = (torch\.utils\.data\.TensorDataset|iter|zip|map)\(.*model\.[fep]",
        theirs=r"^called raises ValueError ",
        ours=r"^called (dict|list|float32|[\d.])",
    ),
    Reason(
        "A sparse matrix is a batch, as it is data for `fit`.",
        source=r"(?s)csr_matrix\(a\).*_on_batch\(data",
        theirs=r"^called raises ValueError ",
        ours=r"^called (float32|[\d.])",
    ),
    Reason(
        "What is no batch of arrays is refused in words; Keras stumbles over what it lacks.",
        source=r"_on_batch\(data",
        theirs=r"^called raises (AttributeError|RuntimeError) ",
        ours=r"^called raises ValueError ",
    ),
    Reason(
        "Losses leave the weights of samples as they are; Keras on torch multiplies them in place"
        " by the mask and its share, so that a weighted metric counts batches unequally.",
        source=r"(?s)(Masking|mask_zero=True).*weighted_metrics=.*\nw = ",
        theirs=r"^(history|evaluated|trained|tested)\.(accuracy|mae|mean_squared_error|1)\S* ",
        ours=r"^(history|evaluated|trained|tested)\.(accuracy|mae|mean_squared_error|1)\S* ",
    ),
    Reason(
        "Data that failed settle nothing: a `Sequential` takes right ones afterwards, where Keras"
        " keeps the shape of the wrong ones.",
        source=r"(?s)Sequential\(\[layers.*predict\(a\[0\]",
        theirs=r"^call \d+ raises ValueError ",
        ours=r"^call \d+ (float32|float \d|'History'|[\d.]+$)",
    ),
    Reason(
        "Several arrays for a model of one input are refused; Keras takes the first and says"
        " nothing of the others.",
        source=r"data = [\[(]\(a\[:2\], y\[:2\]\)",
        theirs=r"^called float32 \(2, 2\) ",
        ours=r"^called raises ValueError ",
    ),
    Reason(
        "Two arrays for a model of one input are refused; a `Sequential` in Keras takes the first"
        " and says nothing of the second.",
        source=r"model\.fit\(\[a, a\], y",
        theirs=r"^call \d+ 'History'$",
        ours=r"^call \d+ raises ValueError ",
    ),
)

# Found by the programs of `draws`.
_AUGMENTED = r"^(y|one) float32 \(|^history\.loss|^state\.0 int32 \(2,\) \["
_DRAWS: tuple[Reason, ...] = (
    Reason(
        "The symbolic output of a user's layer has the dtype that its call gives; Keras's stand-ins"
        " for weights inside leave out the cast to the compute dtype, and say float32.",
        source=r"class Custom\(",
        theirs=r"^float32$",
        ours=r"^b?float16$",
    ),
    Reason(
        "Whole numbers are normalized in the layer's compute dtype, as its symbolic output says;"
        " Keras rounds the results to whole numbers again, or gives float32.",
        source=r"(RMS|Unit|Spectral)Normalization\(",
        theirs=r"^y\d (u?int\d+|float32) \(",
        ours=r"^y\d b?float\d+ \(",
    ),
    Reason(
        "The config of `RandomGrayscale` holds its seed, which Keras's loses.",
        source=r"layers\.RandomGrayscale\(",
        theirs=r"^ 'trainable': True}$",
        ours=r"^ 'seed': ",
    ),
    Reason(
        "An optimizer inside another is named by its public module; Keras names that of its"
        " backend, which no other backend can open.",
        source=r"LossScaleOptimizer\(|mixed_float16",
        theirs=r"'module': 'keras\.src\.backend\.torch\.optimizers\.|'registered_name': '\w+'",
        ours=r"'module': 'keras\.optimizers'|'registered_name': None",
    ),
    Reason(
        "`UnitNormalization` of zeros has a gradient; Keras's is nan, and so is what is trained.",
        source=r"UnitNormalization\(",
        theirs=r"^(history|evaluated)\S* nan$",
        ours=r"^(history|evaluated)\S* -?[\d.]",
    ),
    Reason(
        "What `LossScaleOptimizer` wraps is an optimizer, and anything else is refused in words;"
        " Keras misses an attribute of it.",
        source=r"LossScaleOptimizer\('",
        theirs=r"^line \d+: AttributeError: 'str' object has no attribute 'loss_scale_factor'",
        ours=r"^line \d+: TypeError: LossScaleOptimizer: `inner_optimizer` must be an optimizer",
    ),
    Reason(
        "A class that writes no config of its own has one whatever its policy; Keras cannot write"
        " what its constructor was given where the dtype is a policy.",
        source=r"(?s)(layers\.ELU\(|class Custom\().*dtype=keras\.DTypePolicy",
        theirs=r"NotImplementedError: \s*Object (ELU|Custom) was created by passing",
        ours=r"^ran to its end$",
    ),
    Reason(
        "Looking at shapes before training draws nothing; where torch cannot do so without data"
        " (repeats), Keras runs the model on ones, and recurrent layers draw their masks.",
        source=r"(?s)(UpSampling\dD|RepeatVector)\(.*(RNN|GRU|LSTM)\((?![^\n]*seed=)[^\n]*dropout=0.*\.fit\(",
        theirs=_NUMBERS,
        ours=_NUMBERS,
    ),
    Reason(
        "`RandomCrop` gives the size that it was asked for, whatever the mode; Keras's gives its"
        " input back where a model is built to be trained.",
        source=r"layers\.RandomCrop\(",
        theirs=r"ValueError: (?s:.*)expected axis -1 of input shape to have value \d+, but",
        ours=r"^ran to its end$",
    ),
    Reason(
        "`RandomElasticTransform` draws all from its seed; Keras on torch draws the shifts of the"
        " pixels from torch's generator, so that a seed fixes nothing.",
        source=r"layers\.RandomElasticTransform\(",
        theirs=_AUGMENTED,
        ours=_AUGMENTED,
    ),
    Reason(
        "`RandAugment` applies the augmentations that it has drawn; Keras on torch brightens the"
        " images in place also where that was not drawn.",
        source=r"layers\.RandAugment\(",
        theirs=_AUGMENTED,
        ours=_AUGMENTED,
    ),
    Reason(
        "`Hashing` encodes in bfloat16; Keras hands NumPy's array of it to torch, which cannot read"
        " it.",
        source=r"(?s)bfloat16.*layers\.Hashing\(",
        theirs=r"RuntimeError: Exception encountered when calling Hashing\.call",
        ours=r"^ran to its end|ValueError: When `output_mode=\"int\"`, `dtype` should be an",
    ),
)


def _is_size_of_batch(difference: Difference) -> bool:
    """Whether what differs is the size of a batch, in a config or in a row of a summary."""
    if difference.expected.startswith("│"):
        return re.sub(r"│ \(\d+, ", "│ (None, ", difference.expected).split() == (
            difference.actual.split()
        )
    return f'shape": [\n{difference.expected}\n' in difference.theirs.output


# Found by the programs of `lives`.
_H5 = r"load_model\('\w+\.h5'"
_LIVES: tuple[Reason, ...] = (
    Reason(
        "The config of `Identity` and `IdentityInitializer` holds the gain; Keras's does not.",
        source=r"initializers\.Identity\w*\(gain=",
        theirs=r'^ *"(config": \{\},|module": "keras.initializers",)$',
        ours=r'^ *"(config": \{|gain": [\d.]+)$',
    ),
    Reason(
        "A compiled model opens from `.h5`; Keras reads the name of a loss or metric in its own"
        " file as a class and refuses it.",
        source=_H5,
        theirs=r"ValueError: Could not deserialize 'keras\.(metrics|losses)\.\w+' because it is"
        r" not a KerasSaveable subclass|^unknown raises ValueError ",
        ours=r"^ran to its end$|^unknown '\w+'$",
    ),
    Reason(
        "A model from `.h5` trains on; Keras builds its optimizer for the weights that lie on the"
        " model itself, not in its layers, which then are unknown to it.",
        source=_H5,
        theirs=r"^line \d+: ValueError: Unknown variable: <Variable path=|^optimizer list 2$"
        r"|^ Total params: |^ Optimizer params: 2 |^\['\w+/iteration', '\w+/learning_rate'\]$",
        ours=r"^ran to its end$|^optimizer list \d+$|^ (Total|Optimizer) params: "
        r"|^\['\w+/iteration', '\w+/learning_rate', '",
    ),
    Reason(
        "A loss or metric that `compile` was given by name has that name in a model from `.h5` too;"
        " Keras's holds the function, or an object of another name.",
        source=_H5,
        theirs=r'^compiled_(loss|metrics|weighted_metrics) .*"class_name": "(function"|Mean)'
        r"|^(history|more) dict .*'mean_absolute_error'\]$",
        ours=r'^compiled_(loss|metrics|weighted_metrics) ["\[](?!.*"class_name":)'
        r"|^(history|more) dict .*'mae'\]$",
    ),
    Reason(
        "A function that no one offers is missed when a file is opened; Keras opens `.h5` files"
        " without a metric's, and misses it in training.",
        source=r"(?s)(def own_metric|class OwnMetric)\(.*" + _H5,
        theirs=r"^unknown 'sequential'$",
        ours=r"^unknown raises (FileTypeError )?FileFormatError ",
    ),
    Reason(
        "A model of a dict of inputs opens from `.h5` as it was; Keras's cannot be called.",
        source=_H5,
        theirs=r"^line \d+: TypeError: too many positional arguments",
        ours=r"^ran to its end$",
    ),
    Reason(
        "Saving to `.h5` leaves a model as it is; Keras takes the optimizer out of what it says"
        " afterwards of how the model was compiled.",
        source=r"model\.save\('\w+\.h5'",
        theirs=r"^compiled_run_eagerly ",
        ours=r"^compiled_optimizer ",
    ),
    Reason(
        "A subclassed model that is built by a shape has its weights then, for files and"
        " optimizers; Keras makes none in its layers.",
        source=r"\.build\(\(None, \d+\)\)",
        theirs=r"^made 0$",
        ours=r"^made [1-9]\d*$",
    ),
    Reason(
        "A layer without a `build` of its own is copied with the weights of the layers in it;"
        " Keras's copy leaves those layers unbuilt and then refuses their weights.",
        source=r"copy\.deepcopy\(layer\)",
        theirs=r"^line \d+: ValueError: A total of \d+ objects could not be loaded(?s:.*)was never"
        r" built",
        ours=r"^ran to its end$",
    ),
    Reason(
        "A layer is copied whoever knows its class; Keras copies by way of a config, whose class"
        " must be registered.",
        source=r"copy\.deepcopy\(layer\)",
        theirs=r"^line \d+: TypeError: Could not locate class '",
        ours=r"^ran to its end$",
    ),
    Reason(
        "The shapes that a layer was built for are open where sizes are unknown; Keras's hold the"
        " number that stands for them, or the size of the first batch after a `build` of a shape.",
        source=r"model\(keras\.Input\(|\.build\(\(None, ",
        theirs=r"^ +\d+,$|^│ [^│]+ │ \(\d+, ",
        ours=r"^ +null,$|^│ [^│]+ │ \(None, ",
        further=_is_size_of_batch,
    ),
    Reason(
        "A constant asked for by its name alone is zero, as its constructor says; Keras's"
        " `from_config` finds no value.",
        source=r"keras\.initializers\.Constant\(",
        theirs=r"^by name raises KeyError ",
        ours=r"^by name 'Constant'$",
    ),
    Reason(
        "A copy of a model keeps its layers as they are; Keras makes each anew, and what a user's"
        " layer builds inside is built already by the config of that.",
        source=r"(?s)class Holder\d+\(.*(deepcopy|pickle)",
        theirs=r"^line \d+: ValueError: You cannot add new elements of state",
        ours=r"^ran to its end$"
        r"|^line \d+: (FileFormat|Value)Error: .* you cannot add new elements of state",
    ),
    Reason(
        "A copy of a model goes on with the generators of its layers as they are; Keras gives the"
        " copy new seeds.",
        source=r"(Dropout\w*|Noise)\((?s:.*)(deepcopy|pickle)",
        theirs=r"^loss of the twin(\.0)? ",
        ours=r"^loss of the twin(\.0)? ",
    ),
    Reason(
        "A copy of a model whose optimizer was not used yet has it unused as well; Keras's has its"
        " variables, and counts them in the summary.",
        source=r"(?s)copy\.deepcopy\(model\).*\.summary\(",
        theirs=r"^ (Total|Optimizer) params: ",
        ours=r"^ Total params: |^(?! Optimizer params: )",
    ),
    Reason(
        "A layer that a quantization does not fit stays as it was; Keras keeps the config of the"
        " quantization that it refused.",
        source=r"quantize\('float8'\)",
        theirs=r'^ *"quantization_config": \{$|^ *"class_name": "Float8QuantizationConfig",$',
        ours=r'^ *"(quantization_config": null,|trainable": (true|false))$',
    ),
    Reason(
        "A copy of quantized layers with adapters computes what they do; Keras merges the adapters"
        " into the few bits of the kernel.",
        source=r"(?s)(quantize\(.*enable_lora|enable_lora.*quantize)\(.*(deepcopy|pickle)",
        theirs=r"^alike False$",
        ours=r"^alike True$",
    ),
    Reason(
        "One loss for all of several outputs takes a weight for each of them; Keras counts the loss"
        " before it spreads it over the outputs.",
        source=r"loss_weights=",
        theirs=r"ValueError: `loss_weights` must match the number of losses, got 1 losses",
        ours=r"^ran to its end$",
    ),
    Reason(
        "The config that is derived from a constructor holds its arguments for models too; Keras"
        " loses those of `Model` subclasses and then refuses the class.",
        source=r"class \w+\(keras\.(Model|Sequential)\)",
        theirs=r"NotImplementedError: \s*Object Net\d+ was created by passing",
        ours=r"^ran to its end$",
    ),
    Reason(
        "A layer given to a constructor is part of the config that is derived from it; Keras wants"
        " a `get_config` for any argument but numbers and text.",
        source=r"class Holder\d+\(",
        theirs=r"^line \d+: NotImplementedError: \s*Object Holder\d+ was created by passing",
        ours=r"^ran to its end$",
    ),
    Reason(
        "What a second `compile` leaves out, and the model goes on using, is in files and copies.",
        source=r"(?s)\.compile\(.*metrics=.*\.compile\(|load_model\(|model_from_json\(",
        theirs=r"^(loss|evaluated|loss of the twin) [\d.e-]+$|^compiled_(weighted_)?metrics null$"
        r"|^(history|more) dict \['loss'\]$",
        ours=r"^(loss|evaluated|loss of the twin) list 2$|^compiled_(weighted_)?metrics \["
        r"|^(history|more) dict \[('\w+', )?'loss'(, '\w+')?\]$",
    ),
    Reason(
        "`.h5` files with operation layers open; Keras cannot read what it wrote.",
        source=_H5,
        theirs=r"ValueError: Unknown layer: '|raises (ValueError|TypeError)"
        r"|ValueError: Only input tensors may be passed as positional arguments",
        ours=r"^ran to its end$|^\[",
    ),
    Reason(
        "`enable_unsafe_deserialization` holds for `.h5` files as well, as its text says; Keras"
        " overrides it for them.",
        source=r"(?s)enable_unsafe_deserialization\(\).*" + _H5,
        theirs=r"ValueError: Requested the deserialization of a `Lambda` layer",
        ours=r"^ran to its end$",
    ),
    Reason(
        "bfloat16 weights come back from `.h5`; Keras writes them as bytes without a type, which"
        " it cannot read.",
        source=r"load_(model|weights)\('\w+\.h5'",
        theirs=r"ValueError: Invalid dtype: void",
        # What Keras reads of our file it cannot train on, as with any other type.
        ours=r"^ran to its end$|^line \d+: ValueError: Unknown variable: <Variable path=",
    ),
    Reason(
        "`Lamb` is found by its name, by which `.h5` files know it, and by its config; Keras's"
        " table lacks it.",
        source=_H5 + r"|keras\.optimizers\.get\(config\)",
        theirs=r"ValueError: Could not interpret optimizer identifier: (lamb|\{.*_name': 'Lamb')",
        ours=r"^ran to its end$",
    ),
    Reason(
        "A frozen layer that is made again is frozen with the layers that it makes itself; Keras"
        " trains those.",
        theirs=r"^weights (attend/\S+ \w+ trained|10 (8|10) 10)$",
        ours=r"^weights (attend/\S+ \w+ kept|10 [02] 10)$",
    ),
    Reason(
        "Adafactor goes into `.h5`; Keras gives two of its variables one name.",
        source=r"(?s)Adafactor\(.*'\w+\.h5'",
        theirs=r"ValueError: Unable to synchronously create dataset \(name already exists\)",
        ours=r"^ran to its end$",
    ),
    Reason(
        "The config of `Identity` holds its gain, which Keras's loses.",
        source=r"initializers\.Identity\(gain=",
        theirs=r'^ "(config": \{\}|module": "keras\.initializers"),$',
        ours=r'^ "config": \{$|^  "gain": 2\.0$',
    ),
    Reason(
        "`include_optimizer=False` leaves out of `.keras` files how the model was compiled, as it"
        " does of `.h5`; Keras's hold it all the same.",
        source=r"print\(model\.compiled, type\(getattr\(model, 'optimizer'",
        theirs=r"^True \w+$",
        ours=r"^False NoneType$",
    ),
    Reason(
        "Assets are in folders as they are in archives; Keras's folders hold none.",
        source=r"load_model\('folder'",
        theirs=r"^(?!assets )",
        ours=r"^assets one two$",
    ),
    Reason(
        "A model whose own `compile` loading could not call is not compiled, and `fit` says so;"
        " Keras's says that it is, and lacks an optimizer.",
        source=r"def compile\(self, optimizer, loss, gain",
        theirs=r"^True None$|AttributeError: 'Hooked' object has no attribute 'optimizer'",
        ours=r"^False None$|ValueError: Model '\w+': you must call `compile\(\)` before",
    ),
    Reason(
        "The states of several stateful cells are reset; Keras takes the list of a cell's for one.",
        source=r"reset_states\(\)",
        theirs=r"AttributeError: 'list' object has no attribute 'assign'",
        ours=r"^ran to its end$",
    ),
    Reason(
        "A lambda from a file finds the names that `custom_objects` offers, and a clone holds the"
        " lambda itself; Keras's know the names of the module that rebuilds them.",
        source=r"load_model\(|clone_model\(",
        theirs=r"^line \d+: NameError: Exception encountered when calling Lambda\.call",
        ours=r"^ran to its end$",
    ),
    Reason(
        "A `Lambda` of a function with defaults opens; Keras hands its defaults over as a list,"
        " which Python refuses.",
        source=r"tried\('(opened|json)'",
        theirs=r"^(opened|json) raises TypeError .*could not be deserialized properly",
        ours=r"^(opened|json) \d+$",
    ),
    Reason(
        "A layer that keeps a function saves it by name, to be offered when loading, or the code of"
        " a lambda, for `safe_mode=False`; Keras refuses to save any but numbers and text.",
        source=r"Keeper\((numbers|np\.tanh|lambda)",
        theirs=r"^(config|save|json|clone) raises NotImplementedError",
        ours=r"^(config list|save None|json True|clone '\w+')",
    ),
)

REASONS: tuple[Reason, ...] = (
    *_LAYERS,
    *_MODELS,
    *_TRAINING,
    *_DATA,
    *_DRAWS,
    *_LIVES,
    *OPS,
    *ERRORS,
)


def reason_for(difference: Difference) -> Reason | None:
    """The reason registered for a difference, or `None`."""
    return next((reason for reason in REASONS if reason.explains(difference)), None)
