"""Configs of every kind of object, and who may name which when they are read."""

from __future__ import annotations

from .. import pieces
from ..drawing import Draw, assemble
from . import _lives_users as users

__all__ = ["program"]

# ruff: noqa: E501
_OBJECTS = {
    "losses": """
        MeanSquaredError() MeanAbsoluteError(reduction='sum') Huber(delta=0.5) LogCosh()
        BinaryCrossentropy(from_logits=True) CategoricalCrossentropy(label_smoothing=0.1)
        SparseCategoricalCrossentropy(from_logits=True,ignore_class=-1) Hinge() SquaredHinge()
        KLDivergence() Poisson() CosineSimilarity(axis=1) MeanAbsolutePercentageError()
        MeanSquaredLogarithmicError(name='mine') BinaryFocalCrossentropy(gamma=1.5) Dice()
        CategoricalFocalCrossentropy(alpha=0.3) CategoricalHinge() Tversky(alpha=0.3) CTC()
        Circle(gamma=40.0) CategoricalGeneralizedCrossEntropy(q=0.6)
    """,
    "metrics": """
        MeanSquaredError() RootMeanSquaredError() MeanAbsoluteError(name='mine') Accuracy()
        BinaryAccuracy(threshold=0.4) CategoricalAccuracy() SparseCategoricalAccuracy()
        TopKCategoricalAccuracy(k=3) SparseTopKCategoricalAccuracy(k=2) AUC() AUC(num_thresholds=5)
        Precision() Recall(thresholds=[0.3,0.6]) F1Score(average='macro') FBetaScore(beta=2.0)
        MeanIoU(num_classes=3) OneHotIoU(num_classes=3,target_class_ids=[0,1]) Mean() Sum()
        BinaryIoU(target_class_ids=[0]) IoU(num_classes=2,target_class_ids=[1]) R2Score() LogCoshError()
        MeanMetricWrapper(keras.losses.mean_squared_error) CosineSimilarity() KLDivergence() Poisson()
        TruePositives() FalseNegatives(thresholds=0.3) SensitivityAtSpecificity(0.5) Hinge()
        PrecisionAtRecall(0.4) PearsonCorrelation() ConcordanceCorrelation() BinaryCrossentropy()
        SpecificityAtSensitivity(0.3) RecallAtPrecision(0.5) SparseCategoricalCrossentropy()
        OneHotMeanIoU(num_classes=3) CategoricalHinge() MeanAbsolutePercentageError()
    """,
    "optimizers": """
        SGD() SGD(0.1,momentum=0.9,nesterov=True) Adam() Adam(amsgrad=True,clipnorm=1.0)
        AdamW(weight_decay=0.01) RMSprop(centered=True) Adagrad() Adadelta(rho=0.9) Adamax() Nadam()
        Ftrl(l1_regularization_strength=0.1) Lion() Lamb() Adafactor() Muon()
        SGD(global_clipnorm=2.0,use_ema=True) Adam(gradient_accumulation_steps=2)
        SGD(keras.optimizers.schedules.CosineDecay(0.1,10)) LossScaleOptimizer(keras.optimizers.SGD())
        SGD(keras.optimizers.schedules.PiecewiseConstantDecay([2,5],[0.1,0.05,0.01]),name='mine')
        ScheduleFreeAdamW()
    """,
    "optimizers.schedules": """
        ExponentialDecay(0.1,10,0.9) ExponentialDecay(0.1,10,0.9,staircase=True)
        PiecewiseConstantDecay([2,5],[0.1,0.05,0.01]) PolynomialDecay(0.1,10,cycle=True)
        InverseTimeDecay(0.1,5,0.5) CosineDecay(0.1,10,warmup_target=0.2,warmup_steps=3)
        CosineDecayRestarts(0.1,5)
    """,
    "initializers": """
        Zeros() Ones() Constant(2.0) RandomNormal(seed=3) RandomUniform(-0.1,0.1) TruncatedNormal(seed=1)
        VarianceScaling(2.0,'fan_out','normal',seed=4) GlorotUniform(seed=1) GlorotNormal() HeNormal()
        HeUniform(seed=2) LecunNormal() LecunUniform() Orthogonal(gain=0.5,seed=9) Identity(gain=2.0)
        STFT('real') 
    """,
    "regularizers": """
        L1(0.1) L2(0.01) L1L2(0.1,0.2) OrthogonalRegularizer(0.1,mode='columns')
    """,
    "constraints": """
        MaxNorm(2,axis=0) NonNeg() UnitNorm(axis=1) MinMaxNorm(0.1,1.0,rate=0.5)
    """,
    "dtype_policies": """
        DTypePolicy('mixed_float16') FloatDTypePolicy('mixed_bfloat16') DTypePolicy('float64')
        DTypePolicyMap() QuantizedDTypePolicy('int8',source_name='float32')
        QuantizedFloat8DTypePolicy('float8') DTypePolicyMap(policy_map={'a/b':keras.DTypePolicy('float16')})
    """,
    "layers": """
        Dense(3,kernel_regularizer='l2',kernel_constraint='non_neg') Embedding(5,3,mask_zero=True)
        EinsumDense('ab,bc->ac',output_shape=3) Activation('gelu') LeakyReLU() PReLU(shared_axes=[1])
        Softmax(axis=1) Conv1D(2,3,dilation_rate=2) Conv2D(2,(3,2),groups=2) Conv3D(2,2)
        Conv2DTranspose(2,3,output_padding=1,strides=2) DepthwiseConv2D(3,depth_multiplier=2)
        SeparableConv1D(2,3) BatchNormalization(axis=1,renorm=False) LayerNormalization(axis=[1,2])
        GroupNormalization(4) SpectralNormalization(keras.layers.Dense(2)) UnitNormalization()
        RMSNormalization() Dropout(0.3,noise_shape=(None,1),seed=3) GaussianDropout(0.2)
        AlphaDropout(0.1) GaussianNoise(0.4,seed=1) SpatialDropout1D(0.2) LSTM(3,dropout=0.1)
        GRU(2,reset_after=False) SimpleRNN(3,return_state=True) LSTMCell(3) RNN(keras.layers.GRUCell(2))
        StackedRNNCells([keras.layers.LSTMCell(2),keras.layers.GRUCell(3)]) ConvLSTM2D(2,3)
        Bidirectional(keras.layers.LSTM(2),merge_mode='sum') TimeDistributed(keras.layers.Dense(2))
        MultiHeadAttention(2,3,value_dim=4) GroupQueryAttention(4,4,2) Attention(use_scale=True)
        AdditiveAttention() Add() Concatenate(axis=1) Dot(axes=1,normalize=True) Multiply() Minimum()
        Reshape((2,-1)) Permute((2,1)) Flatten() RepeatVector(3) Cropping2D(((1,0),(0,1)))
        ZeroPadding2D(2) UpSampling2D(2,interpolation='bilinear') MaxPooling2D((2,1)) AveragePooling1D(2)
        GlobalMaxPooling1D(keepdims=True) AdaptiveAveragePooling2D(2) Rescaling(0.1,offset=[1.0,2.0])
        Normalization(axis=-1) Normalization(mean=[1.0],variance=[2.0]) CenterCrop(2,2) Resizing(4,4)
        Discretization([0.0,1.0]) CategoryEncoding(num_tokens=4) Hashing(3) HashedCrossing(4)
        StringLookup(vocabulary=['a','b']) IntegerLookup(vocabulary=[1,2,5]) TextVectorization()
        RandomFlip('horizontal',seed=3) RandomRotation(0.2) RandomZoom(0.1) RandomCrop(2,3)
        RandomContrast(0.3) RandomBrightness(0.2) RandomTranslation(0.1,0.2) Masking(mask_value=2.0)
        ActivityRegularization(l1=0.1) Identity() InputLayer(shape=(3,)) ReLU(max_value=6)
        MelSpectrogram() STFTSpectrogram() ReversibleEmbedding(5,3) Equalization() RandAugment()
        MixUp() CutMix() RandomErasing() Solarization() Pipeline([]) AugMix()
        Dense(2,dtype='mixed_float16') Dense(2,dtype=keras.DTypePolicy('bfloat16'))
        Dense(3,activation=keras.layers.LeakyReLU(0.2)) Dense(3,activation=keras.ops.relu)
        Dense(2,kernel_initializer=keras.initializers.Constant([[1.0,2.0],[3.0,4.0]]))
        Conv1D(2,2,kernel_initializer=keras.initializers.HeNormal(seed=2),activation='silu')
    """,
    "activations": "relu gelu silu softmax log_softmax tanh leaky_relu hard_silu mish glu linear",
}  # Without spaces within, so that they can be split.


def _expressions(kind: str) -> list[str]:
    return [f"keras.{kind}.{text}" for text in _OBJECTS[kind].split()]


def _built_in(draw: Draw) -> str:
    """Objects of every kind, to configs and back."""
    lines = []
    for _ in range(draw.whole(2, 5)):
        kind = draw.one([*_OBJECTS, "layers", "layers"])
        expression = draw.one(_expressions(kind))
        lines.append(f"thing = {expression}")
        module = "optimizers.schedules" if kind == "optimizers.schedules" else kind
        lines.append(
            draw.one(
                [
                    "config = keras.saving.serialize_keras_object(thing)",
                    f"config = keras.{module}.serialize(thing)",
                ]
            )
        )
        lines.append("print('serialized', as_json(config))")
        reads = ["again = keras.saving.deserialize_keras_object(config)"]
        reads.append(
            "again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))"
        )
        reads.append(f"again = keras.{module}.deserialize(config)")
        if kind not in ("activations", "dtype_policies", "optimizers.schedules"):
            reads.append("again = type(thing).from_config(thing.get_config())")
            reads.append(f"again = keras.{module}.get(config)" if kind != "layers" else reads[0])
        lines.append(draw.one(reads))
        if kind == "activations":
            lines.append("print(again.__name__, again is thing)")
            continue
        lines.append("print(type(again).__name__, as_json(again.get_config()))")
        if kind == "layers" and draw.chance(0.3):
            lines.append("print(as_json(again.get_build_config()), again.built, again.name)")
        if kind in ("losses", "metrics", "initializers") and draw.chance(0.2):
            lines.append(
                f"attempt('by name', lambda: type(keras.{kind}.get(type(thing).__name__)).__name__)"
            )
    return assemble(*lines)


def _registered(draw: Draw) -> str:
    """Functions and classes of the user's, offered in each way."""
    name = draw.name("own")
    decorator, offered = draw.one(
        [
            ("@keras.saving.register_keras_serializable()", "{}"),
            ("@keras.saving.register_keras_serializable('pack')", "{}"),
            (f"@keras.saving.register_keras_serializable('pack', '{name}_b')", "{}"),
            ("", f"{{{name!r}: {name}}}"),
        ]
    )
    kind, body, use = draw.one(
        [
            (
                "activation",
                "def {0}(x):\n    return x * 0.5 + 1",
                "layers.Dense(2, activation={0})",
            ),
            (
                "lambda layer",
                "def {0}(x):\n    return ops.tanh(x) * 2",
                "layers.Lambda({0})",
            ),
            (
                "initializer",
                "class {0}(keras.initializers.Initializer):\n"
                "    def __init__(self, value=0.3):\n        self.value = value\n"
                "    def __call__(self, shape, dtype=None, **kwargs):\n"
                "        return ops.full(shape, self.value, dtype=dtype)\n"
                "    def get_config(self):\n        return {{'value': self.value}}",
                "layers.Dense(2, kernel_initializer={0}(0.2))",
            ),
            (
                "regularizer",
                "class {0}(keras.regularizers.Regularizer):\n"
                "    def __init__(self, rate=0.1):\n        self.rate = rate\n"
                "    def __call__(self, x):\n        return self.rate * ops.sum(ops.square(x))\n"
                "    def get_config(self):\n        return {{'rate': self.rate}}",
                "layers.Dense(2, kernel_regularizer={0}(0.05))",
            ),
            (
                "constraint",
                "class {0}(keras.constraints.Constraint):\n"
                "    def __call__(self, w):\n        return ops.clip(w, -0.5, 0.5)",
                "layers.Dense(2, kernel_constraint={0}())",
            ),
        ]
    )
    loss_kind = draw.one(["'mse'", "own_loss", "OwnLoss()"])
    metric = draw.one(["", ", metrics=[own_metric]", ", metrics=[OwnMetric()]"])
    extra = {
        "own_loss": "def own_loss(y, p):\n    return ops.mean(ops.abs(y - p) ** 1.5, axis=-1)",
        "OwnLoss()": "class OwnLoss(keras.losses.Loss):\n    def call(self, y, p):\n"
        "        return ops.mean(ops.square(y - p), axis=-1) * 2",
        "own_metric": "def own_metric(y, p):\n    return ops.max(ops.abs(y - p), axis=-1)",
        "OwnMetric()": "class OwnMetric(keras.metrics.Metric):\n"
        "    def __init__(self, name='own', **kwargs):\n"
        "        super().__init__(name=name, **kwargs)\n"
        "        self.total = self.add_weight(initializer='zeros', name='total')\n"
        "    def update_state(self, y, p, sample_weight=None):\n"
        "        self.total.assign(self.total + ops.sum(p))\n"
        "    def result(self):\n        return self.total",
    }
    definitions = [f"{decorator}\n{body.format(name)}" if decorator else body.format(name)]
    offers = [offered[1:-1]] if offered != "{}" else []
    for used, text in extra.items():
        if used in loss_kind or used in metric:
            bare = used.removesuffix("()")
            if draw.chance():
                text = f"@keras.saving.register_keras_serializable('pack')\n{text}"
            else:
                offers.append(f"{bare!r}: {bare}")
            definitions.append(text)
    width = draw.whole(2, 4)
    path = draw.one(["m.keras", "m.keras", "m.h5"])
    load = draw.one(
        [
            f"model = keras.models.load_model('{path}', custom_objects=known)",
            f"with keras.saving.custom_object_scope(known):\n"
            f"    model = keras.models.load_model('{path}')",
            f"keras.saving.get_custom_objects().update(known)\n"
            f"model = keras.models.load_model('{path}')",
            f"attempt('unknown', lambda: keras.models.load_model('{path}').name)\n"
            f"model = keras.models.load_model('{path}', custom_objects=known)",
        ]
    )
    return assemble(
        "\n".join(definitions),
        f"known = {{{', '.join(offers)}}}",
        f"model = keras.Sequential([keras.Input(({width},)), {use.format(name)}, layers.Dense(1)])",
        f"model.compile('sgd', {loss_kind}{metric})",
        f"x, y = numbers(5, {width}), numbers(5, 1, seed=1)",
        "show('history', model.fit(x, y, verbose=0).history)",
        f"print(keras.saving.get_registered_name({name}))",
        *draw.some(
            [
                "print('config', as_json(model.get_config()))",
                "show_compiled(model.get_compile_config())",
                "print(as_json(keras.saving.serialize_keras_object(model.layers[0])))",
            ]
        ),
        f"model.save('{path}')",
        load,
        "show('predicted', model.predict(x, verbose=0))",
        "show('evaluated', model.evaluate(x, y, verbose=0, return_dict=True))",
        "show('history', model.fit(x, y, verbose=0).history)",
    )


def _single_layers(draw: Draw) -> str:
    """A layer of the user's, or a built-in one, alone: configs, states, copies."""
    unregistered: list[str] = []
    shape = draw.shape(draw.whole(1, 2), 2, 4)
    if draw.chance(0.6):
        classes, expression, _ = users.layer(draw, shape, unregistered)
    else:
        expression, _ = pieces.layer(draw, shape)
        classes = ""
    known = "{" + ", ".join(f"{n!r}: {n}" for n in unregistered) + "}"
    lines = [classes] if classes else []
    lines += [
        "keras.config.enable_unsafe_deserialization()" if "lambda" in expression else "",
        f"known = {known}",
        f"layer = {expression}",
        f"x = numbers(3, *{shape})",
        draw.one(["y = layer(x)", f"layer.build({(None, *shape)})\ny = layer(x)"]),
        "show('y', y)",
    ]
    again = draw.one(
        [
            "with keras.saving.custom_object_scope(known):\n"
            "    again = layer.__class__.from_config(layer.get_config())",
            "again = keras.layers.deserialize(keras.layers.serialize(layer), custom_objects=known)",
            "again = keras.saving.deserialize_keras_object(json.loads(json.dumps("
            "keras.saving.serialize_keras_object(layer))), custom_objects=known)",
            "again = copy.deepcopy(layer)",
        ]
    )
    looks = [
        "print('config', as_json(layer.get_config()))",
        "print('build', as_json(layer.get_build_config()))",
        "print('whole', as_json(keras.saving.serialize_keras_object(layer)))",
        "store = {}\nlayer.save_own_variables(store)\nprint(sorted(store))",
        "print(layer.name, layer.built, [w.path for w in layer.weights])",
        "print(layer.count_params())\n"
        "attempt('shape', lambda: layer.compute_output_shape(x.shape))",
    ]
    lines += draw.some(looks, 1, 3)
    lines += [
        again,
        "print(type(again).__name__, again.name, again.built, len(again.weights))",
        "again(x)",
        "again.set_weights(layer.get_weights())",
        "show('again', again(x))",
        # Keras copies by way of a config, from which layers within make names of their own.
        "show('weights', again.get_weights())"
        if "deepcopy" in again
        else "show_weights('weights', again)",
    ]
    return assemble(*lines)


def _unsaveable(draw: Draw) -> str:
    """Layers whose arguments no config can hold, and classes nobody offers when loading."""
    argument = draw.one(["lambda x: x + 1", "object()", "numbers", "np.tanh", "{1, 2}"])
    path = draw.one(["m.keras", "m.keras", "m.h5"])
    return assemble(
        """
        class Keeper(layers.Layer):
            def __init__(self, kept, **kwargs):
                super().__init__(**kwargs)
                self.kept = kept
            def call(self, x):
                return x * 2
        """,
        f"model = keras.Sequential([keras.Input((2,)), Keeper({argument}), layers.Dense(1)])",
        "show('y', model(numbers(2, 2)))",
        draw.one(["", "attempt('config', lambda: sorted(model.layers[0].get_config()))"]),
        f"attempt('save', lambda: model.save('{path}'))",
        "attempt('json', lambda: len(model.to_json()) > 0)",
        "attempt('clone', lambda: type(keras.models.clone_model(model)).__name__)",
        "model.save_weights('w.weights.h5')",
        "model.load_weights('w.weights.h5')",
        "show('y', model(numbers(2, 2)))",
    )


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one([_built_in] * 4 + [_registered] * 3 + [_single_layers] * 4 + [_unsaveable])
    return writer(draw)
