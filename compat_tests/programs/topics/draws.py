"""Random numbers and low precision: equal seeds, equal numbers.

Programs on precision are written by `_precision`.
"""

from __future__ import annotations

from .. import pieces
from ..drawing import Draw, assemble
from . import _precision

__all__ = ["program"]

_SEEDS = ("", "", "", ", seed=7", ", seed=1337", ", seed=keras.random.SeedGenerator(3)")
_INT_SEEDS = ("", "", ", seed=7", ", seed=0", ", seed=1337")


# Initializers by their names.
_NAMED = (
    "he_normal", "glorot_uniform", "orthogonal", "truncated_normal", "uniform", "normal",
)  # fmt: skip


def _seed(draw: Draw) -> str:
    """An optional seed of a function or initializer, after a comma."""
    return draw.one(_SEEDS)


def _noise(draw: Draw, rank: int) -> str:
    """A layer that draws in training, for inputs of a rank (with the batch)."""
    seed = draw.one(_INT_SEEDS)
    rate = draw.one([0.1, 0.25, 0.5, 0.8])
    shape = "".join(f"{draw.one(['None', 'None', '1'])}, " for _ in range(rank))
    options = [
        f"layers.Dropout({rate}{seed})",
        f"layers.Dropout({rate}{seed})",
        f"layers.Dropout({rate}, noise_shape=({shape}){seed})",
        f"layers.GaussianNoise({rate}{seed})",
        f"layers.GaussianDropout({rate}{seed})",
        f"layers.AlphaDropout({rate}{seed})",
        f"layers.AlphaDropout({rate}, noise_shape=({shape}){seed})",
    ]
    if rank in (3, 4, 5):
        options += [f"layers.SpatialDropout{rank - 2}D({rate}{seed})"] * 2
    return draw.one(options)


def _sequence_layer(draw: Draw) -> str:
    """A layer for `(time, features)` that draws, alone or in what it wraps."""
    seed, units = draw.one(_INT_SEEDS), draw.whole(1, 4)
    kind = draw.one(["LSTM", "GRU", "SimpleRNN"])
    options = draw.some(
        [
            f"dropout={draw.one([0.2, 0.5])}",
            f"recurrent_dropout={draw.one([0.2, 0.5])}",
            "return_sequences=True",
            "go_backwards=True",
            "unroll=True",
            "use_bias=False",
            "implementation=1",
        ],
        1,
        4,
    )
    recurrent = f"layers.{kind}({units}, {', '.join(options)}{seed})"
    cell = f"layers.{kind}Cell({units}, dropout=0.3, recurrent_dropout=0.2{seed})"
    rnn = draw.one([f"layers.RNN({cell})", f"layers.RNN([{cell}, layers.GRUCell(2, dropout=0.5)])"])
    return draw.one(
        [
            recurrent,
            recurrent,
            rnn,
            f"layers.Bidirectional({recurrent})",
            f"layers.TimeDistributed(layers.Dropout(0.5{seed}))",
            f"layers.TimeDistributed(layers.Dense({units}))",
        ]
    )


def _layers(draw: Draw) -> str:
    """Layers called by hand, more than once."""
    rank = draw.whole(2, 5)
    shape = draw.shape(rank, 2, 4)
    makers = [lambda: _noise(draw, rank)]
    if rank == 3:
        makers += [lambda: _sequence_layer(draw)]
    lines = [f"x = numbers(*{shape})"]
    if draw.chance(0.3):
        lines.append(f"keras.utils.set_random_seed({draw.whole(1, 99)})")
    for i in range(draw.whole(2, 4)):
        lines.append(f"layer{i} = {draw.one(makers)()}")
        for _ in range(draw.whole(1, 2)):
            training = draw.one(["True", "True", "False", "None"])
            lines.append(f"show('y{i}', layer{i}(x, training={training}))")
        if draw.chance(0.3):
            lines.append(f"show('variables{i}', layer{i}.variables)")
        if draw.chance(0.2):
            lines.append(f"keras.utils.set_random_seed({draw.whole(1, 9)})")
            lines.append(f"show('again{i}', layer{i}(x, training=True))")
        if draw.chance(0.2):
            lines.append(f"copy{i} = type(layer{i}).from_config(layer{i}.get_config())")
            lines.append(f"show('copied{i}', copy{i}(x, training=True))")
        if draw.chance(0.2):
            lines.append(f"pprint.pprint(layer{i}.get_config())")
    return assemble("\n".join(lines))


def _attention(draw: Draw) -> str:
    """Attention with dropout."""
    seed = draw.one(_INT_SEEDS)
    layer = draw.one(
        [
            f"layers.MultiHeadAttention({draw.whole(1, 3)}, {draw.whole(1, 4)}, dropout=0.3{seed})",
            f"layers.GroupQueryAttention(4, 2, {draw.whole(1, 2)}, dropout=0.3{seed})",
            f"layers.Attention(dropout=0.4{seed})",
            f"layers.AdditiveAttention(dropout=0.4{seed})",
        ]
    )
    dot = "Attention(d" in layer and "Additive" not in layer and "layers.Attention" in layer
    plain = dot or "Additive" in layer
    arguments = "[x, z]" if plain else "x, z"
    scores = draw.chance(0.3)
    options = ["use_causal_mask=True"] if not plain or draw.chance(0.3) else []
    options = [*draw.some(options), *(["return_attention_scores=True"] if scores else [])]
    tail = "".join(f", {option}" for option in options)
    return assemble(
        f"""
        x, z = numbers(2, 3, 4), numbers(2, 5, 4, seed=1)
        layer = {layer}
        for i in range({draw.whole(1, 3)}):
            show("y", layer({arguments}, training=True{tail}))
        show("inference", layer({arguments}{tail}))
        show_weights("weights", layer)
        show("variables", layer.variables)
        """
    )


_AFTER = {
    2: ["layers.Dense(4)", "layers.BatchNormalization()", "layers.Dense(3, activation='selu')"],
    3: [
        "layers.Conv1D(3, 2)", "layers.Conv1D(4, 2, padding='same', activation='relu')",
        "layers.Conv1D(4, 3, padding='causal')", "layers.SeparableConv1D(3, 2)",
        "layers.DepthwiseConv1D(2)", "layers.Conv1DTranspose(3, 2)", "layers.MaxPooling1D(2)",
        "layers.AveragePooling1D(2)", "layers.LSTM(3, return_sequences=True)",
        "layers.GRU(3, return_sequences=True)", "layers.Dense(4)", "layers.LayerNormalization()",
        "layers.BatchNormalization()", "layers.UpSampling1D(2)", "layers.ZeroPadding1D(1)",
        "layers.Permute((2, 1))", "layers.Activation('tanh')", "layers.GroupNormalization(1)",
        "layers.Bidirectional(layers.GRU(2, return_sequences=True))",
        "layers.TimeDistributed(layers.Dense(3))",
    ],
    4: [
        "layers.Conv2D(3, 2)", "layers.Conv2D(4, 2, padding='same', activation='relu')",
        "layers.SeparableConv2D(3, 2)", "layers.DepthwiseConv2D(2)", "layers.MaxPooling2D(2)",
        "layers.AveragePooling2D(2)", "layers.Conv2DTranspose(3, 2)", "layers.Dense(3)",
        "layers.BatchNormalization()", "layers.UpSampling2D(2)", "layers.ZeroPadding2D(1)",
        "layers.Activation('relu')", "layers.Conv2D(2, 3, strides=2, padding='same')",
    ],
}  # fmt: skip


def _fitted(draw: Draw) -> str:
    """A model with layers that draw, trained."""
    rank = draw.whole(2, 4)
    shape = (draw.whole(6, 8),) * (rank - 2) + (draw.whole(2, 3),)
    chain = []
    for _ in range(draw.whole(1, 3)):
        if draw.chance(0.8):
            chain.append(draw.one(_AFTER[rank]))
        chain.append(_noise(draw, rank))
    head = ["layers.Flatten()", "layers.Dense(2)"] if rank > 2 else ["layers.Dense(2)"]
    if rank == 3 and draw.chance(0.3):
        head = [_sequence_layer(draw), "layers.Flatten()", "layers.Dense(2)"]
    chain += head
    style = draw.one(["sequential", "functional", "subclass"])
    if style == "sequential":
        given = draw.one([f"keras.Input({shape})", ""])
        body = ",\n".join(f"    {e}" for e in ([given] if given else []) + chain)
        source = f"model = keras.Sequential([\n{body},\n])"
    elif style == "functional":
        body = "\n".join(f"x = {e}(x)" for e in chain)
        source = f"inputs = x = keras.Input({shape})\n{body}\nmodel = keras.Model(inputs, x)"
    else:
        takes = ("Dropout", "Spatial", "Gaussian", "Alpha", "BatchN", "LSTM", "GRU", "SimpleRNN",
                 "RNN", "Bidirectional", "TimeDistributed")  # fmt: skip
        made = "\n".join(f"        self.part{i} = {e}" for i, e in enumerate(chain))
        calls = "\n".join(
            f"        x = self.part{i}(x{', training=training' * e[7:].startswith(takes)})"
            for i, e in enumerate(chain)
        )
        source = (
            "class Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
            f"{made}\n    def call(self, x, training=None):\n{calls}\n        return x\n"
            "model = Net()"
        )
    rows = draw.whole(4, 9)
    options = draw.some(["shuffle=False", "validation_split=0.25", "initial_epoch=0"], 0, 2)
    tail = "".join(f", {option}" for option in options)
    lines = [
        source,
        f"model.compile({pieces.optimizer(draw)}, 'mse')",
        f"x, y = numbers(*{(rows, *shape)}), numbers({rows}, 2, seed=1)",
        f"history = model.fit(x, y, epochs={draw.whole(1, 2)}, batch_size={draw.whole(2, 5)},"
        f" verbose=0{tail})",
        'show("history", history.history)',
        *draw.some(
            [
                'show("predicted", model.predict(x, verbose=0))',
                'show("trained", model(x, training=True))',
                'show_weights("weights", model)',
                'show("loss", model.train_on_batch(x, y))',
                "kept = model.non_trainable_variables\n"
                'show("kept", [(v.path, v.numpy().tolist()) for v in kept])',
                "copied = keras.models.clone_model(model)\n"
                'show("copied", [w.numpy() for w in copied.weights])'
                if style != "subclass"
                else "",
            ],
            0,
            3,
        ),
    ]
    return assemble("\n".join(lines))


_INITIALIZERS = (
    "GlorotUniform({s})", "GlorotNormal({s})", "HeNormal({s})", "HeUniform({s})",
    "LecunNormal({s})", "LecunUniform({s})", "RandomNormal(stddev=0.1{c})",
    "RandomUniform(-0.2, 0.3{c})", "TruncatedNormal(0.1, 0.5{c})", "Orthogonal(gain=0.5{c})",
    "VarianceScaling(2.0, 'fan_avg', 'uniform'{c})", "VarianceScaling(mode='fan_out'{c})",
    "VarianceScaling(distribution='untruncated_normal'{c})", "Constant(0.3)", "Zeros()", "Ones()",
    "Orthogonal({s})", "RandomNormal({s})", "RandomUniform({s})",
)  # fmt: skip


def _initializer(draw: Draw) -> str:
    seed = _seed(draw)
    text = draw.one(_INITIALIZERS).format(s=seed.removeprefix(", "), c=seed)
    return f"keras.initializers.{text}"


def _initializers(draw: Draw) -> str:
    """Initializers called by hand, shared, in configs."""
    lines = []
    for i in range(draw.whole(1, 3)):
        shape = draw.shape(draw.one([2, 2, 3, 4]), 1, 4)
        lines.append(f"made{i} = {_initializer(draw)}")
        for _ in range(draw.whole(1, 2)):
            dtype = draw.one(["", "", "", ", dtype='float16'", ", dtype='float64'",
                              ", dtype='bfloat16'"])  # fmt: skip
            lines.append(f"show('numbers{i}', made{i}({shape}{dtype}))")
        lines += draw.some(
            [
                f"pprint.pprint(made{i}.get_config())",
                f"copy{i} = type(made{i}).from_config(made{i}.get_config())\n"
                f"show('copy{i}', copy{i}({shape}))",
                f"show('clone{i}', made{i}.clone()({shape}))",
                f"a, b = layers.Dense(2, kernel_initializer=made{i}),"
                f" layers.Dense(2, kernel_initializer=made{i})\n"
                f"a.build((None, 3)), b.build((None, 3))\n"
                f"show('shared{i}', [a.kernel, b.kernel])",
                f"show('name', keras.initializers.get({draw.one(_NAMED)!r})((2, 3)))",
                f"pprint.pprint(keras.initializers.serialize(made{i}))",
            ],
            0,
            2,
        )
    return assemble("\n".join(lines))


def _weights(draw: Draw) -> str:
    """Initial weights of layers."""
    rank = draw.whole(2, 5)
    width = draw.whole(2, 4)
    units = draw.whole(1, 4)
    own = f", kernel_initializer={_initializer(draw)}" if draw.chance(0.4) else ""
    sequences = [
        f"Conv1D({units}, 2{own})", f"LSTM({units}{own})", f"GRU({units}{own})",
        f"SimpleRNN({units}{own})", f"Bidirectional(layers.LSTM({units}))",
        f"SeparableConv1D({units}, 2)", f"DepthwiseConv1D(2, depth_multiplier={units})",
        f"Conv1DTranspose({units}, 2{own})", f"TimeDistributed(layers.Dense({units}{own}))",
        f"LSTM({units}, recurrent_initializer={_initializer(draw)})",
        "GRU(3, reset_after=False)", f"EinsumDense('abc,cd->abd', (None, {units}){own})",
    ]  # fmt: skip
    by_rank = {
        2: [f"Dense({units}{own})", f"Dense({units}, bias_initializer={_initializer(draw)})",
            "PReLU(alpha_initializer='random_normal')", "BatchNormalization()",
            "BatchNormalization(gamma_initializer='random_uniform')",
            f"SpectralNormalization(layers.Dense({units}))", f"Dense({units}, lora_rank=1)"],
        3: sequences,
        4: [f"Conv2D({units}, 2{own})", f"Conv2DTranspose({units}, 2{own})", "DepthwiseConv2D(2)",
            f"SeparableConv2D({units}, 2)", f"ConvLSTM1D({units}, 2)", "GroupNormalization(1)",
            f"TimeDistributed(layers.Conv1D({units}, 2))",
            f"SpectralNormalization(layers.Conv2D({units}, 2))"],
        5: [f"Conv3D({units}, 2{own})", f"Conv3DTranspose({units}, 2)",
            f"ConvLSTM2D({units}, 2)"],
    }  # fmt: skip
    shape = (None, *draw.shape(rank - 2, 3, 5), width)
    lines = []
    for i in range(draw.whole(1, 3)):
        lines.append(f"layer{i} = layers.{draw.one(by_rank[rank])}")
        lines.append(f"layer{i}.build({shape})")
        lines.append(f"show_weights('weights{i}', layer{i})")
    if draw.chance(0.3):
        lines.append(f"table = layers.Embedding(5, 3{draw.one(['', ', mask_zero=True'])})")
        lines.append("table.build()\nshow_weights('table', table)")
    if draw.chance(0.3):
        lines.append("attention = layers.MultiHeadAttention(2, 3)")
        lines.append("attention.build((None, 4, 5), (None, 4, 5))\nshow_weights('at', attention)")
    lines.append("show('next', keras.random.uniform((2,)))")
    return assemble("\n".join(lines))


def _random(draw: Draw) -> str:
    """`keras.random`."""
    lines = []
    if draw.chance(0.4):
        lines.append(f"seeds = keras.random.SeedGenerator({draw.whole(0, 99)})")
    for i in range(draw.whole(2, 6)):
        shape = draw.shape(draw.whole(0, 3), 1, 4)
        some = draw.shape(draw.whole(1, 3), 2, 4)
        choices = ["", "", f", seed={draw.whole(0, 9999)}", ", seed=-5"]
        if lines and "seeds" in lines[0]:
            choices += [", seed=seeds"] * 3
        s = draw.one(choices)
        half = draw.one(["", "", ", dtype='float16'", ", dtype='float64'", ", dtype='bfloat16'"])
        count = draw.one(["", ", dtype='int64'", ", dtype='uint8'"])
        call = draw.one(
            [
                f"normal({shape}, mean=1.0, stddev=0.5{half}{s})",
                f"normal({shape}{half}{s})",
                f"uniform({shape}, -1.0, 2.0{half}{s})",
                f"uniform({shape}{half}{s})",
                f"truncated_normal({shape}{half}{s})",
                f"truncated_normal({shape}, 1.0, 2.0{s})",
                f"randint({shape}, 0, 10{count}{s})",
                f"randint({shape}, 3, 100{s})",
                f"gamma({some}, 0.5{s})",
                f"beta({some}, 0.5, 1.5{s})",
                f"binomial({some}, 10, 0.4{s})",
                f"categorical(numbers(2, 4), 3{s})",
                f"categorical(numbers(3, 5), 2{count}{s})",
                f"shuffle(numbers(5, 2){draw.one(['', ', axis=1'])}{s})",
                f"shuffle(np.arange(8){s})",
                f"dropout(ops.convert_to_tensor(numbers(*{some})), 0.4{s})",
                f"dropout(ops.ones((3, 4)), 0.4, noise_shape=(3, 1){s})",
            ]
        )
        lines.append(f"show('drawn{i}', keras.random.{call})")
        if draw.chance(0.15):
            lines.append(f"keras.utils.set_random_seed({draw.whole(0, 99)})")
        if draw.chance(0.1):
            lines.append("show('torch', torch.rand(2))")
        if draw.chance(0.1):
            lines.append("show('numpy', np.random.rand(2))")
    lines.append("print(keras.random.SeedGenerator().get_config()['name'])")
    if "seeds" in lines[0]:
        lines.append("show('state', seeds.state)\nshow('next', seeds.next())")
    return assemble("\n".join(lines))


_CUSTOM = (
    # Stochastic depth.
    """
    class Custom(layers.Layer):
        def __init__(self, rate=0.3, seed=SEED, **kwargs):
            super().__init__(**kwargs)
            self.rate = rate
            self.seed_generator = keras.random.SeedGenerator(seed)
        def call(self, x, training=False):
            if not training:
                return x
            keep = 1.0 - self.rate
            shape = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
            kept = keep + keras.random.uniform(shape, 0, 1, seed=self.seed_generator)
            return x / keep * ops.floor(kept)
    """,
    """
    class Custom(layers.Layer):
        def __init__(self, seed=SEED, **kwargs):
            super().__init__(**kwargs)
            self.seeds = [keras.random.SeedGenerator(seed), keras.random.SeedGenerator(5)]
        def call(self, x, training=False):
            if training:
                x = x + keras.random.normal(ops.shape(x), seed=self.seeds[0])
                x = keras.random.dropout(x, 0.3, seed=self.seeds[1])
            return x
    """,
    """
    class Custom(layers.Layer):
        def __init__(self, seed=SEED, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.Dropout(0.5, seed=seed)
            self.noise = layers.GaussianNoise(0.2)
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="uniform")
            super().build(shape)
        def call(self, x, training=None):
            return self.noise(self.inner(x * self.scale, training=training), training=training)
    """,
    """
    class Custom(layers.Layer):
        def call(self, x, training=False):
            if training:
                x = x * keras.random.uniform(ops.shape(x), 0.5, 1.5)
                x = keras.random.dropout(x, 0.3)
            return x
    """,
    """
    class Custom(layers.Dropout):
        def __init__(self, rate=0.4, seed=SEED, **kwargs):
            super().__init__(rate, seed=seed, **kwargs)
        def call(self, x, training=False):
            return super().call(x * 2.0, training=training) + 1.0
        def get_config(self):
            return super().get_config()
    """,
    """
    class Custom(layers.Layer):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.seed_generator = keras.random.SeedGenerator(SEED)
        def build(self, shape):
            self.mean = self.add_weight(shape=(shape[-1], self.units), initializer="he_normal")
            self.spread = self.add_weight(shape=(shape[-1], self.units), initializer="ones")
        def call(self, x):
            noise = keras.random.normal(ops.shape(self.mean), seed=self.seed_generator)
            return ops.matmul(x, self.mean + 0.1 * self.spread * noise)
    """,
)


def _custom(draw: Draw) -> str:
    """Layers by users that draw."""
    source = draw.one(_CUSTOM).replace("SEED", draw.one(["None", "7", "7"]))
    width = draw.whole(2, 4)
    use = draw.one(
        [
            f"model = keras.Sequential([keras.Input(({width},)), layers.Dense(3), Custom(),"
            " layers.Dense(1)])",
            "model = keras.Sequential([layers.Dense(3), Custom(), layers.Dense(1)])",
            f"inputs = keras.Input(({width},))\nmodel = keras.Model(inputs,"
            " layers.Dense(1)(Custom()(Custom()(inputs))))",
        ]
    )
    return assemble(
        source,
        use,
        f"""
        model.compile({pieces.optimizer(draw)}, "mse")
        x, y = numbers(6, {width}), numbers(6, 1, seed=1)
        show("history", model.fit(x, y, epochs=2, batch_size={draw.whole(2, 6)}, verbose=0).history)
        show("predicted", model.predict(x, verbose=0))
        show("trained", model(x, training=True))
        show_weights("weights", model)
        show("others", [v.path for v in model.non_trainable_variables])
        """,
        "keras.utils.set_random_seed(4)\nshow('again', model(x, training=True))"
        if draw.chance()
        else "",
    )


def _augmentation(draw: Draw) -> str:
    """Preprocessing layers that draw."""
    seed = draw.one([", seed=3", ", seed=3", ", seed=11", ""])
    mode = draw.one(["reflect", "wrap", "constant", "nearest"])
    way = draw.one(["nearest", "bilinear"])
    size = draw.whole(5, 8)
    flips = ("horizontal", "vertical", "horizontal_and_vertical")
    layer = draw.one(
        [
            f"RandomFlip({draw.one(flips)!r}{seed})",
            f"RandomRotation({draw.one(['0.2', '(-0.1, 0.3)'])}, fill_mode={mode!r},"
            f" interpolation={way!r}{seed})",
            f"RandomZoom({draw.one(['0.3', '(-0.2, 0.2), (0.1, 0.3)'])}, fill_mode={mode!r}{seed})",
            f"RandomTranslation(0.2, {draw.one(['0.3', '(-0.1, 0.2)'])}, fill_mode={mode!r},"
            f" interpolation={way!r}{seed})",
            f"RandomCrop({size - 2}, {size - 1}{seed})",
            f"RandomBrightness(0.3, value_range=(0.0, 1.0){seed})",
            f"RandomContrast({draw.one(['0.4', '(0.2, 0.5)'])}{seed})",
            f"RandomShear(0.3, {draw.one(['0.2', '0.0'])}, fill_mode={mode!r}{seed})",
            f"RandomHue(0.3, value_range=(0, 1){seed})",
            f"RandomSaturation(0.4, value_range=(0, 1){seed})",
            f"RandomColorJitter(value_range=(0, 1), brightness_factor=0.2,"
            f" contrast_factor=0.3, saturation_factor=0.2, hue_factor=0.1{seed})",
            f"RandomColorDegeneration(0.5, value_range=(0, 1){seed})",
            f"RandomGrayscale(0.5{seed})",
            f"RandomInvert(0.6, value_range=(0, 1){seed})",
            f"RandomPosterization(4, value_range=(0, 1){seed})",
            f"RandomSharpness(0.5, value_range=(0, 1){seed})",
            f"RandomErasing(1.0, scale=(0.1, 0.3), value_range=(0, 1){seed})",
            f"RandomGaussianBlur(1.0, kernel_size=3, sigma=1.0, value_range=(0, 1){seed})",
            f"RandomElasticTransform(1.0, 0.3, value_range=(0, 1){seed})",
            f"RandomPerspective(1.0, scale=0.3{seed})",
            f"RandAugment(value_range=(0, 1), num_ops=2, factor=0.3{seed})",
            f"AugMix(value_range=(0, 1), num_chains=2{seed})",
            f"Solarization(0.1, 0.5, value_range=(0, 1){seed})",
            f"CutMix(1.0{seed})",
            f"MixUp(0.3{seed})",
        ]
    )
    lines = [f"layer = layers.{layer}", f"x = np.abs(numbers(3, {size}, {size}, 3)) / 4.0"]
    mixes = layer.startswith(("MixUp", "CutMix"))
    if mixes:
        lines.append("x = {'images': x, 'labels': np.eye(3, dtype='float32')}")
    for _ in range(draw.whole(1, 2)):
        lines.append("show('y', layer(x, training=True))")
    lines += draw.some(
        ["show('kept', layer(x, training=False))", "pprint.pprint(layer.get_config())",
         "show('one', layer(x[0], training=True))" if not mixes else "",
         "show('state', layer.variables)"]
    )  # fmt: skip
    if not mixes and draw.chance(0.4):
        lines += [
            f"model = keras.Sequential([keras.Input(({size}, {size}, 3)), layer,"
            " layers.Flatten(), layers.Dense(1)])",
            "model.compile('sgd', 'mse')",
            "show('history', model.fit(x, numbers(3, 1), epochs=2, batch_size=2, verbose=0)"
            ".history)",
        ]
    return assemble("\n".join(lines))


def _whole_model(draw: Draw) -> str:
    """Any built-in model after a seed set in the middle, and the shuffles of `fit`."""
    model = pieces.model(draw)
    rows = draw.whole(3, 9)
    return assemble(
        f"keras.random.uniform((2,))\nkeras.utils.set_random_seed({draw.whole(0, 999)})",
        model.source,
        pieces.compilation(draw),
        f"""
        x = numbers(*{(rows, *model.inputs)})
        y = {pieces.target(model, rows)}
        print(keras.utils.get_random_seed() if hasattr(keras.utils, "get_random_seed") else "")
        history = model.fit(x, y, epochs=3, batch_size={draw.whole(2, 4)}, verbose=0)
        show("history", history.history)
        show("next", [np.random.rand(2), torch.rand(2), keras.random.normal((2,))])
        """,
    )


def program(draw: Draw) -> str:
    """Write a program."""
    writers = [
        _layers, _attention, _fitted, _fitted, _initializers, _weights, _random, _custom,
        _augmentation, _whole_model, *(_precision.WRITERS * 2),
    ]  # fmt: skip
    return draw.one(writers)(draw)
