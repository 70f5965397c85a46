"""Every built-in class with one wrong, or odd, argument: what there is to make, and to make wrong.

The parameters are those of the installed Keras, read from its source without importing it.
"""

# ruff: noqa: E501 (tables of source)
from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..drawing import Draw

__all__ = ["ELSEWHERE", "ODD", "SUBJECTS", "Subject", "parameters", "statements"]

# One argument is given one of these. Odd ones, such as `2.5` for a number of units or a list for a
# tuple, Keras takes now and then; what comes of them is compared too.
ODD = (
    "None", "-1", "0", "1", "3", "2.5", "-0.5", "float('nan')", "True", "''", "'nonsense'", "'2'",
    "[]", "{}", "()", "[1]", "(2,)", "(1, 2)", "[2, 1]", "(1, 2, 3)", "(1, 2, 3, 4, 5)", "(-1, 2)",
    "object()", "np.int64(2)", "np.float32(0.5)", "['nonsense']", "{'nonsense': 1}",
    "{'class_name': 'Nonsense', 'config': {}}", "1e3",
)  # fmt: skip
# What a config that cannot be written to a file holds is not compared: `get_config` refuses here,
# saving does in Keras. So are not arrays in configs, which Keras keeps as they came.
PLAIN = tuple(v for v in ODD if not v.startswith(("object", "np.", "{'class_name")))


@dataclass(frozen=True)
class Subject:
    """A class that programs make objects of.

    Args:
        face: The module to find it in, after `keras.`.
        name: Its name.
        arguments: Right arguments, as source.
        use: Statements that use `made`.
    """

    face: str
    name: str
    arguments: dict[str, str]
    use: str

    def make(self, arguments: dict[str, str]) -> str:
        """The expression that makes an object."""
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        return f"keras.{self.face}.{self.name}({given})"


_ROW, _STEPS, _IMAGE = "numbers(2, 4)", "numbers(2, 6, 3)", "numbers(2, 6, 6, 3)"
_CUBE, _FILM, _WHOLE = "numbers(2, 4, 4, 4, 2)", "numbers(2, 3, 5, 5, 2)", "whole(2, 4, below=5)"
_PICTURE = "np.abs(numbers(2, 8, 8, 3)) * 60.0"
_TWO = "[numbers(2, 4), numbers(2, 4, seed=1)]"
_QKV = "[numbers(2, 3, 4), numbers(2, 5, 4, seed=1)]"
_WORDS = "np.array([['a b', 'c'], ['b', 'a']])"

# Right arguments of each layer, and what it is called on.
_LAYERS = {
    _ROW: """
        Activation(activation='relu') ActivityRegularization(l1=0.1) AlphaDropout(rate=0.5)
        BatchNormalization() Dense(units=3) Dropout(rate=0.5) ELU() Flatten() GaussianDropout(rate=0.5)
        GaussianNoise(stddev=0.1) GroupNormalization(groups=2) Identity() LayerNormalization()
        Lambda(function=lambda_x_2x) LeakyReLU() Masking() Normalization(mean=0.5,variance=2.0) PReLU()
        RMSNormalization() ReLU() RepeatVector(n=2) Rescaling(scale=0.5) Reshape(target_shape=(2,2))
        Permute(dims=(1,)) Softmax() UnitNormalization()
        Pipeline(layers=[keras.layers.Rescaling(0.5)])
        EinsumDense(equation='ab,bc->ac',output_shape=3,bias_axes='c')
        SpectralNormalization(layer=keras.layers.Dense(2)) Discretization(bin_boundaries=[-1.0,0.5])
    """,
    _STEPS: """
        Conv1D(filters=2,kernel_size=2) Conv1DTranspose(filters=2,kernel_size=2)
        DepthwiseConv1D(kernel_size=2) SeparableConv1D(filters=2,kernel_size=2)
        AveragePooling1D(pool_size=2) MaxPooling1D(pool_size=2) GlobalAveragePooling1D()
        GlobalMaxPooling1D() AdaptiveAveragePooling1D(output_size=2) AdaptiveMaxPooling1D(output_size=2)
        Cropping1D() ZeroPadding1D() UpSampling1D() SpatialDropout1D(rate=0.5) GRU(units=2) LSTM(units=2)
        SimpleRNN(units=2) RNN(cell=keras.layers.GRUCell(2)) Bidirectional(layer=keras.layers.LSTM(2))
        TimeDistributed(layer=keras.layers.Dense(2)) Dense(units=3) LayerNormalization()
        BatchNormalization() Permute(dims=(2,1)) Reshape(target_shape=(3,-1)) Softmax() Dropout(rate=0.5)
        EinsumDense(equation='abc,cd->abd',output_shape=(None,2)) Flatten() PReLU()
    """,
    _IMAGE: """
        Conv2D(filters=2,kernel_size=2) Conv2DTranspose(filters=2,kernel_size=2)
        DepthwiseConv2D(kernel_size=2) SeparableConv2D(filters=2,kernel_size=2)
        AveragePooling2D(pool_size=2) MaxPooling2D(pool_size=2) GlobalAveragePooling2D()
        GlobalMaxPooling2D() AdaptiveAveragePooling2D(output_size=2) AdaptiveMaxPooling2D(output_size=2)
        Cropping2D() ZeroPadding2D() UpSampling2D() SpatialDropout2D(rate=0.5) CenterCrop(height=3,width=3)
        Resizing(height=3,width=3) ConvLSTM1D(filters=2,kernel_size=2) BatchNormalization()
        GroupNormalization(groups=3) Flatten() PReLU(shared_axes=[1,2])
    """,
    _CUBE: """
        Conv3D(filters=2,kernel_size=2) Conv3DTranspose(filters=2,kernel_size=2)
        AveragePooling3D(pool_size=2) MaxPooling3D(pool_size=2) GlobalAveragePooling3D()
        GlobalMaxPooling3D() AdaptiveAveragePooling3D(output_size=2) AdaptiveMaxPooling3D(output_size=2)
        Cropping3D() ZeroPadding3D() UpSampling3D() SpatialDropout3D(rate=0.5)
    """,
    _FILM: "ConvLSTM2D(filters=2,kernel_size=2)",
    "numbers(2, 2, 3, 3, 3, 2)": "ConvLSTM3D(filters=2,kernel_size=2)",
    _WHOLE: """
        CategoryEncoding(num_tokens=5) Embedding(input_dim=5,output_dim=2)
        ReversibleEmbedding(input_dim=5,output_dim=2) Hashing(num_bins=3)
        IntegerLookup(vocabulary=[1,2,3])
    """,
    _WORDS: """
        StringLookup(vocabulary=['a','b']) Hashing(num_bins=3)
        TextVectorization(vocabulary=['a','b'])
    """,
    _TWO: """
        Add() Average() Concatenate() Dot(axes=1) Maximum() Minimum() Multiply() Subtract()
    """,
    _QKV: """
        AdditiveAttention() Attention()
    """,
    "*" + _QKV: """
        MultiHeadAttention(num_heads=2,key_dim=2)
        GroupQueryAttention(head_dim=2,num_query_heads=2,num_key_value_heads=1)
    """,
    "[whole(2, 1, below=5), whole(2, 1, below=3, seed=1)]": "HashedCrossing(num_bins=4)",
    "numbers(2, 600)": """
        STFTSpectrogram(frame_length=64) MelSpectrogram(fft_length=128,sequence_stride=64,num_mel_bins=8)
    """,
    "numbers(2, 3), [numbers(2, 2, seed=1)]": """
        GRUCell(units=2) SimpleRNNCell(units=2) StackedRNNCells(cells=[keras.layers.GRUCell(2)])
    """,
    "numbers(2, 3), [numbers(2, 2, seed=1), numbers(2, 2, seed=2)]": "LSTMCell(units=2)",
    # Their draws are those of `draws`; called bare they leave the picture as it is.
    _PICTURE: """
        AutoContrast() Equalization() RandomBrightness(factor=0.2) RandomContrast(factor=0.2)
        RandomCrop(height=3,width=3) RandomFlip() RandomRotation(factor=0.2) RandomGaussianBlur()
        RandomTranslation(height_factor=0.2,width_factor=0.2) RandomZoom(height_factor=0.2)
        RandomShear() RandomHue(factor=0.2) RandomSaturation(factor=0.2) RandomSharpness(factor=0.2)
        RandomPosterization(factor=3) RandomGrayscale() RandomInvert() RandomErasing()
        RandomPerspective() RandomElasticTransform() RandomColorJitter() RandomColorDegeneration(factor=0.2)
        Solarization() RandAugment() AugMix() CutMix() MixUp()
        ContrastLimitedAdaptiveHistogramEqualization()
    """,
}  # fmt: skip

_BINARY = (
    "np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]), np.array([[0.1, 0.7], [0.6, 0.4], [0.3, 0.2]])"
)
_CHOICE = (
    "np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[0.1, 0.7, 0.2], [0.6, 0.1, 0.3]])"
)
_CLASS = "np.array([1, 0]), np.array([[0.1, 0.7, 0.2], [0.6, 0.1, 0.3]])"
_CLASSES = "np.array([1, 0, 2, 1]), np.array([1, 1, 2, 0])"
_LOSSES = {
    _BINARY: """
        BinaryCrossentropy() BinaryFocalCrossentropy() Hinge() SquaredHinge() Huber() KLDivergence()
        LogCosh() MeanAbsoluteError() MeanAbsolutePercentageError() MeanSquaredError()
        MeanSquaredLogarithmicError() Poisson() CosineSimilarity() Dice() Tversky()
    """,
    _CHOICE: """
        CategoricalCrossentropy() CategoricalFocalCrossentropy() CategoricalHinge()
        CategoricalGeneralizedCrossEntropy()
    """,
    _CLASS: "SparseCategoricalCrossentropy()",
    "np.array([0, 1, 0, 1]), numbers(4, 3)": "Circle()",
    "np.array([[1, 2], [2, 1]]), numbers(2, 5, 4)": "CTC()",
}  # fmt: skip
_METRICS = {
    _BINARY: """
        AUC() Accuracy() BinaryAccuracy() BinaryCrossentropy() BinaryIoU() ConcordanceCorrelation()
        CosineSimilarity() F1Score() FBetaScore() FalseNegatives() FalsePositives() Hinge()
        KLDivergence() LogCoshError() MeanAbsoluteError() MeanAbsolutePercentageError()
        MeanSquaredError() MeanSquaredLogarithmicError() PearsonCorrelation() Poisson() Precision()
        PrecisionAtRecall(recall=0.5) R2Score() Recall() RecallAtPrecision(precision=0.5)
        RootMeanSquaredError() SensitivityAtSpecificity(specificity=0.5) SquaredHinge()
        SpecificityAtSensitivity(sensitivity=0.5) TrueNegatives() TruePositives()
        MeanMetricWrapper(fn=keras.losses.mean_squared_error)
    """,
    _CHOICE: """
        CategoricalAccuracy() CategoricalCrossentropy() CategoricalHinge() OneHotMeanIoU(num_classes=3)
        OneHotIoU(num_classes=3,target_class_ids=[0,1]) TopKCategoricalAccuracy(k=2)
    """,
    _CLASS: """
        SparseCategoricalAccuracy() SparseCategoricalCrossentropy() SparseTopKCategoricalAccuracy(k=2)
    """,
    _CLASSES: "IoU(num_classes=3,target_class_ids=[0,2]) MeanIoU(num_classes=3)",
    "np.array([1.0, 3.0])": "Mean() Sum()",
}  # fmt: skip
_OPTIMIZERS = """
    Adadelta() Adafactor() Adagrad() Adam() AdamW() Adamax() Ftrl() Lamb() Lion() Muon() Nadam()
    RMSprop() SGD() ScheduleFreeAdamW() LossScaleOptimizer(inner_optimizer=keras.optimizers.SGD(0.1))
"""
_SCHEDULES = """
    CosineDecay(initial_learning_rate=0.1,decay_steps=4)
    CosineDecayRestarts(initial_learning_rate=0.1,first_decay_steps=4)
    ExponentialDecay(initial_learning_rate=0.1,decay_steps=4,decay_rate=0.5)
    InverseTimeDecay(initial_learning_rate=0.1,decay_steps=4,decay_rate=0.5)
    PiecewiseConstantDecay(boundaries=[1,3],values=[0.1,0.2,0.3])
    PolynomialDecay(initial_learning_rate=0.1,decay_steps=4)
"""
_INITIALIZERS = """
    Constant() Ones() Zeros() GlorotNormal() GlorotUniform() HeNormal() HeUniform() LecunNormal() LecunUniform()
    Orthogonal() RandomNormal() RandomUniform() TruncatedNormal() VarianceScaling() Identity()
"""
_REGULARIZERS = "L1() L1L2() L2() OrthogonalRegularizer()"
_CONSTRAINTS = "MaxNorm() MinMaxNorm() UnitNorm() NonNeg()"
_RANDOM = "SeedGenerator(seed=3)"
_POLICIES = """
    DTypePolicy(name='mixed_float16') FloatDTypePolicy(name='mixed_bfloat16')
    QuantizedDTypePolicy(mode='int8',source_name='float32')
    QuantizedFloat8DTypePolicy(mode='float8',source_name='float32')
    Int4DTypePolicy(mode='int4/8',source_name='float32')
    GPTQDTypePolicy(mode='gptq/4/8',source_name='float32')
    AWQDTypePolicy(mode='awq/4/8',source_name='float32')
"""
_QUANTIZERS = "AbsMaxQuantizer(axis=-1)"
_CALLBACKS = """
    BackupAndRestore(backup_dir='backup') CSVLogger(filename='log.csv') EarlyStopping(monitor='loss')
    LambdaCallback() LearningRateScheduler(schedule=lambda_x_2x) ReduceLROnPlateau(monitor='loss') ProgbarLogger()
    ModelCheckpoint(filepath='kept.keras',monitor='loss') SwapEMAWeights() TerminateOnNaN()
"""

_USE_LAYER = """
y = made({data})
show("y", y)
show_weights("made", made)
"""
_USE_LOSS = 'show("loss", made({data}))'
_USE_METRIC = """
made.update_state({data})
show("result", made.result())
show("variables", [keras.ops.convert_to_numpy(v) for v in made.variables])
"""
_USE_OPTIMIZER = """
v = keras.Variable(numbers(2, 3))
for step in range(3):
    made.apply_gradients([(keras.ops.convert_to_tensor(numbers(2, 3, seed=step)), v)])
    show("v", v)
show("rate", made.learning_rate)
"""
_USE_SCHEDULE = "for step in (0, 1, 3, 9):\n    show('rate', made(step))"
_USE_INITIALIZER = 'show("value", made((3, 3)))'
_USE_WEIGHT = 'show("value", made(keras.ops.convert_to_tensor(numbers(3, 3))))'
_USE_SEED = """
show("draw", keras.random.uniform((2,), seed=made))
show("next", made.next())
"""
_USE_POLICY = """
print(made.name, made.compute_dtype, made.variable_dtype, made.quantization_mode)
show("whole", made.get_config())
"""
_USE_QUANTIZER = """
quantized, scale = made(keras.ops.convert_to_tensor(numbers(3, 3)), axis=-1)
show("y", quantized)
show("scale", scale)
"""
_USE_CALLBACK = """
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
history = model.fit(numbers(6, 3), numbers(6, 1, seed=1), epochs=3, batch_size=3, verbose=0, callbacks=[made])
show("history", history.history)
"""


def statements(draw: Draw) -> tuple[str, str, str]:
    """An object made with one argument wrong, and its use; then one made right."""
    subject = draw.one(SUBJECTS)
    given, config = dict(subject.arguments), ""
    kind = draw.whole(1, 20)
    if kind == 1:  # what is needed is missing
        needed = draw.some(list(given), min(1, len(given)), 1)
        given = {name: value for name, value in given.items() if name not in needed}
    elif kind == 2:
        given["nonsense"] = draw.one(ODD)
    elif kind == 3:  # a misspelt name
        name = draw.one(parameters(subject.face, subject.name) or ("nam",))
        given[name[:-1] + "x"] = given.pop(name, "None")
    else:
        names = parameters(subject.face, subject.name)
        # Initializers and their like are read by one function each: half as often.
        shared = ("_initializer", "_regularizer", "_constraint")
        names = [n for n in names if not n.endswith(shared) or draw.chance(0.4)]
        if names:
            name, value = draw.one(names), draw.one(ODD)
            given[name] = value
            # What a layer is a config of is a dict, the keys of which have no order.
            if value in PLAIN and subject.face != "callbacks" and name != "backward_layer":
                config = f'\nshow("config", made.get_config().get("{name}"))'
    again = f"keras.utils.set_random_seed(1)\nmade = {subject.make(subject.arguments)}"
    use = subject.use.replace('show_weights("made", made)', 'show("again", made.get_weights())')
    wrong = f"made = {subject.make(given)}\n{subject.use}{config}"
    return "", wrong, f"{again}\n{use}"


def _subjects() -> list[Subject]:
    tables = [
        ("layers", _LAYERS, _USE_LAYER),
        ("losses", _LOSSES, _USE_LOSS),
        ("metrics", _METRICS, _USE_METRIC),
        ("optimizers", {"": _OPTIMIZERS}, _USE_OPTIMIZER),
        ("optimizers.schedules", {"": _SCHEDULES}, _USE_SCHEDULE),
        ("initializers", {"": _INITIALIZERS}, _USE_INITIALIZER),
        ("regularizers", {"": _REGULARIZERS}, _USE_WEIGHT),
        ("constraints", {"": _CONSTRAINTS}, _USE_WEIGHT),
        ("callbacks", {"": _CALLBACKS}, _USE_CALLBACK),
        ("random", {"": _RANDOM}, _USE_SEED),
        ("dtype_policies", {"": _POLICIES}, _USE_POLICY),
        ("quantizers", {"": _QUANTIZERS}, _USE_QUANTIZER),
    ]
    subjects = []
    for face, table, use in tables:
        for data, texts in table.items():
            for text in texts.split():
                call = ast.parse(text.replace("lambda_x_2x", "(lambda x: 2 * x)"), mode="eval").body
                arguments = {k.arg: ast.unparse(k.value) for k in call.keywords}
                subjects.append(
                    Subject(face, call.func.id, arguments, use.strip().replace("{data}", data))
                )
    return subjects


SUBJECTS = _subjects()

# Why a public class of Keras's is not among them.
ELSEWHERE = {
    "a base class, which users write subclasses of: `layers`, `models` and `_classes` do": """
        Function Operation callbacks.Callback constraints.Constraint initializers.Initializer
        layers.Layer layers.Wrapper losses.Loss metrics.Metric models.Model models.Sequential
        optimizers.Optimizer optimizers.schedules.LearningRateSchedule quantizers.Quantizer
        quantizers.QuantizationConfig regularizers.Regularizer distillation.DistillationLoss
        utils.Sequence
    """,
    "made wrongly in `_mistakes`": "Variable layers.InputLayer layers.InputSpec",
    "a scope or a symbol, of which nothing is computed": """
        KerasTensor RematScope StatelessScope SymbolicScope name_scope utils.custom_object_scope
        tree.MAP_TO_NONE
    """,
    "made by `fit` or a table of its own": """
        callbacks.CallbackList callbacks.History optimizers.OptimizerMap optimizers.MultiOptimizer
        dtype_policies.DTypePolicyMap
    """,
    "needs a server, a package that is not installed, or several processes": """
        callbacks.OrbaxCheckpoint callbacks.RemoteMonitor callbacks.TensorBoard layers.FlaxLayer
        layers.JaxLayer layers.TFSMLayer export.ExportArchive distribution.DataParallel
        distribution.DeviceMesh distribution.LayoutMap distribution.ModelParallel
        distribution.TensorLayout
    """,
    "has tests of its own in `compat_tests` and `tests`": """
        distillation.Distiller distillation.FeatureDistillation distillation.LogitsDistillation
        layers.TorchModuleWrapper layers.MaxNumBoundingBoxes initializers.stft
        quantizers.AWQConfig quantizers.GPTQConfig quantizers.Float8QuantizationConfig
        quantizers.Int4QuantizationConfig quantizers.Int8QuantizationConfig saving.KerasFileEditor
        utils.Config utils.FeatureSpace utils.Progbar wrappers.SKLearnClassifier
        wrappers.SKLearnRegressor wrappers.SKLearnTransformer
    """,
    "a name that only raises": "optimizers.legacy.SGD",
}

# What each layer takes besides.
_OF_LAYERS = ("name", "dtype", "trainable", "activity_regularizer")


@functools.cache
def parameters(face: str, name: str) -> tuple[str, ...]:
    """The names of the arguments of a class's constructor."""
    classes = _classes(face.split(".")[0])
    node = classes[name]
    while (init := _constructor(node)) is None:
        if not node.bases:
            return ()
        node = classes[_last_name(node.bases[0])]
    names = [a.arg for a in (*init.args.posonlyargs, *init.args.args, *init.args.kwonlyargs)][1:]
    if face == "layers":
        names += [n for n in _OF_LAYERS if n not in names]
    return tuple(names)


@functools.cache
def _classes(folder: str) -> dict[str, ast.ClassDef]:
    root = Path(find_spec("keras").submodule_search_locations[0]) / "src"
    found = {}
    for path in sorted((root / folder).rglob("*.py")):
        if not path.stem.endswith("_test"):
            tree = ast.parse(path.read_text())
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    found |= dict.fromkeys((node.name, *_exported_names(node)), node)
    if folder == "layers":
        found["Operation"] = _classes("ops")["Operation"]
    return found


def _exported_names(node: ast.ClassDef) -> list[str]:
    """The names that users know a class by."""
    paths = [
        constant.value
        for decorator in node.decorator_list
        for constant in ast.walk(decorator)
        if isinstance(constant, ast.Constant)
    ]
    return [path.split(".")[-1] for path in paths]


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return item
    return None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)
