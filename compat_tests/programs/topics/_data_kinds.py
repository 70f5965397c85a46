"""Programs about kinds of data: masks, weights of outputs and classes, frames, features, text."""

from __future__ import annotations

from ..drawing import Draw, assemble

__all__ = ["classes", "features", "frames", "masked", "plain", "texts", "weighted"]


def _packed(draw: Draw, parts: list[str], rows: int) -> tuple[str, str, bool]:
    """Statements that make `data` of these arrays, how a call takes it, and whether in batches."""
    size = draw.whole(2, 4)
    whole = f"({', '.join(parts)},)"
    slices = f"keras.tree.map_structure(lambda v: v[i:i + {size}], {whole})"
    sources = [
        (f"data = tf.data.Dataset.from_tensor_slices({whole}).batch({size})", "data"),
        (
            "class Batches(keras.utils.PyDataset):\n"
            f"    def __len__(self):\n        return {-(-rows // size)}\n"
            f"    def __getitem__(self, index):\n        i = index * {size}\n"
            f"        return {slices}\ndata = Batches()",
            "data",
        ),
        (
            f"def batches():\n    for i in range(0, {rows}, {size}):\n        yield {slices}",
            "batches()",
        ),
        (
            "class Rows(torch.utils.data.Dataset):\n"
            f"    def __len__(self):\n        return {rows}\n"
            "    def __getitem__(self, i):\n"
            f"        return keras.tree.map_structure(lambda v: v[i], {whole})\n"
            f"data = torch.utils.data.DataLoader(Rows(), batch_size={size})",
            "data",
        ),
    ]
    if draw.chance(0.4):
        names = ("", "y=", "sample_weight=")
        values = ", ".join(n + p for n, p in zip(names, parts, strict=False))
        return "", values, False
    return *draw.one(sources), True


def _calls(
    draw: Draw, taken: str, batched: bool, inputs: str, fit: tuple[str, ...] = ()
) -> list[str]:
    shared = [] if batched else [f"batch_size={draw.whole(2, 4)}"]
    rest = ", ".join(["verbose=0", *shared])
    epochs = ["epochs=2"] if "batches()" not in taken else []
    given = ", ".join([*epochs, *fit, rest])
    calls = [
        f"show('history', model.fit({taken}, {given}).history)",
        f"show('evaluated', model.evaluate({taken}, {rest},"
        f" return_dict={draw.one([True, False])}))",
        f"show('predicted', model.predict({taken if batched else inputs}, {rest}))",
    ]
    return calls if draw.chance(0.3) else draw.some(calls, 1)


def masked(draw: Draw) -> str:
    """Sequences with masks, which losses and metrics follow."""
    rows, length = draw.whole(4, 7), draw.whole(3, 5)
    start = draw.one(
        [
            f"layers.Embedding(6, 3, mask_zero={draw.chance(0.8)})",
            "layers.Masking(mask_value=0.0)",
        ]
    )
    inner = draw.one(
        ["layers.LSTM(3, return_sequences=True)", "layers.GRU(3, return_sequences=True)",
         "layers.Dense(3)", "layers.Dropout(0.0)",
         "layers.Bidirectional(layers.LSTM(2, return_sequences=True))"]
    )  # fmt: skip
    steps = draw.chance(0.6)
    end = [] if steps else [draw.one(["layers.LSTM(2)", "layers.GlobalAveragePooling1D()"])]
    stack = ", ".join([start, inner, *end, "layers.Dense(2)"])
    shape = f"{rows}, {length}"
    if "Embedding" in start:
        lines = [f"x = whole({shape}, below=6)", "x[:, -1] = 0"]
    else:
        lines = [f"x = numbers({shape}, 2)", "x[1:, -1] = 0.0"]
    kind = draw.one(["mse", "classes"])
    goal = shape if steps else str(rows)
    if kind == "mse":
        lines.append(f"y = numbers({goal}, 2, seed=1)")
        loss = draw.one(["'mse'", "'mae'", "keras.losses.Huber()"])
        metric = draw.one(["'mae'", "keras.metrics.MeanSquaredError()"])
    else:
        lines.append(f"y = whole({goal}, below=2, seed=1)")
        loss = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
        metric = "'accuracy'"
    parts = ["x", "y"]
    if draw.chance(0.5):
        temporal = steps and draw.chance(0.7)
        lines.append(
            f"w = np.linspace(0.5, 2.0, {rows * length}).reshape({rows}, {length})"
            if temporal
            else f"w = np.linspace(0.5, 2.0, {rows})"
        )
        if not temporal and steps:
            lines[-1] += ".reshape(-1, 1)"
        parts.append("w")
    source, taken, batched = _packed(draw, parts, rows)
    named = draw.one(["metrics", "weighted_metrics"])
    alone = f"x, y{', sample_weight=w' if 'w' in parts else ''}"
    calls = _calls(draw, taken, batched, "x")
    calls += draw.some(
        [f"show('trained', model.train_on_batch({alone}))",
         f"show('tested', model.test_on_batch({alone}))",
         "show('mask', model(x)._keras_mask)"], 0, 2,
    )  # fmt: skip
    return assemble(
        f"model = keras.Sequential([{stack}])",
        f"model.compile(keras.optimizers.SGD(0.01), {loss}, {named}=[{metric}])",
        *lines,
        source,
        *calls,
    )


def weighted(draw: Draw) -> str:
    """Weights of samples for several outputs."""
    rows = draw.whole(4, 7)
    kind = draw.one(["tuple", "list", "dict"])
    pair = {"tuple": "({0}, {1})", "list": "[{0}, {1}]", "dict": "{{'p': {0}, 'q': {1}}}"}[kind]
    weights = draw.one(["both", "both", "one", "none", "partly", "single"])
    given = {
        "both": pair.format("w", "v"),
        "one": pair.format("w", "w"),
        "partly": "{'p': w}" if kind == "dict" else pair.format("w", "None"),
        "single": "w",
        "none": "",
    }[weights]
    losses = draw.one(["'mse'", "['mse', 'mae']", "{'p': 'mse', 'q': 'mae'}"])
    extra = draw.some(
        ["loss_weights=" + draw.one(["[1.0, 0.5]", "{'p': 1.0, 'q': 0.5}"]),
         draw.one(["metrics=", "weighted_metrics="])
         + draw.one(["[['mae'], ['mse']]", "{'p': 'mae'}", "{'q': ['mae', 'mse']}"])], 0, 2,
    )  # fmt: skip
    if losses == "'mse'":
        extra = [e for e in extra if not e.startswith("loss_weights")]
    parts = ["a", pair.format("y", "z"), *([given] if given else [])]
    lines = [
        f"a, y, z = numbers({rows}, 3), numbers({rows}, 2, seed=1), numbers({rows}, 1, seed=2)",
        f"w, v = np.linspace(0.5, 2.0, {rows}), np.linspace(1.0, 0.0, {rows})",
    ]
    source, taken, batched = "", "", False
    if weights in ("partly", "single") or kind == "list":
        names = ("", "y=", "sample_weight=")
        taken = ", ".join(n + p for n, p in zip(names, parts, strict=False))
    else:
        source, taken, batched = _packed(draw, parts, rows)
    calls = _calls(draw, taken, batched, "a")
    alone = ", ".join(n + p for n, p in zip(("", "", "sample_weight="), parts, strict=False))
    calls += draw.some(
        [f"show('trained', model.train_on_batch({alone}, return_dict=True))",
         f"show('tested', model.test_on_batch({alone}, return_dict=True))"], 0, 1,
    )  # fmt: skip
    calls = draw.shuffled([f"attempt({call[5:].replace(', ', ', lambda: ', 1)}" for call in calls])
    return assemble(
        "inputs = keras.Input((3,), name='a')\nh = layers.Dense(4)(inputs)",
        "p, q = layers.Dense(2, name='p')(h), layers.Dense(1, name='q')(h)",
        f"model = keras.Model(inputs, {pair.format('p', 'q')})",
        f"model.compile({', '.join(['keras.optimizers.SGD(0.01)', losses, *extra])})",
        *lines,
        source,
        *calls,
    )


def classes(draw: Draw) -> str:
    """Weights of classes, for all that data may be."""
    rows = draw.whole(5, 8)
    labels = draw.one(["plain", "column", "hot", "binary"])
    y = {
        "plain": f"y = whole({rows}, below=3)",
        "column": f"y = whole({rows}, 1, below=3)",
        "hot": f"y = keras.utils.to_categorical(whole({rows}, below=3), 3)",
        "binary": f"y = whole({rows}, 1, below=2)",
    }[labels]
    y += draw.one(["", "", ".astype('float32')", ".astype('int64')", ".astype('uint8')"])
    loss = {
        "hot": "keras.losses.CategoricalCrossentropy(from_logits=True)",
        "binary": "keras.losses.BinaryCrossentropy(from_logits=True)",
    }.get(labels, "keras.losses.SparseCategoricalCrossentropy(from_logits=True)")
    units = 1 if labels == "binary" else 3
    weights = draw.one(
        ["{0: 1.0, 1: 2.0, 2: 0.5}", "{0: 1, 1: 2, 2: 3}", "{1: 2.0}", "{0: 1.0, 1: 2.0}",
         "{0: np.float32(2), 1: 0.5, 2: 1}", "dict(enumerate([1.0, 2.0, 0.5]))"]
    )  # fmt: skip
    parts = ["x", "y"] + (["w"] if draw.chance(0.1) else [])
    lines = [f"x = numbers({rows}, 4, seed=1)", y]
    if "w" in parts:
        lines.append(f"w = np.linspace(0.5, 1.0, {rows})")
    source, taken, batched = _packed(draw, parts, rows)
    limits = "verbose=0" + ("" if batched else f", batch_size={draw.whole(2, 4)}, shuffle=False")
    calls = [
        f"attempt('history', lambda: model.fit({taken}, class_weight={weights}, {limits}).history)",
        f"attempt('trained', lambda: model.train_on_batch(x, y, class_weight={weights}))",
        "attempt('tested', lambda: model.test_on_batch(x, y))",
    ]
    more = draw.one(["metrics=['accuracy']", "weighted_metrics=['accuracy']", "metrics=[]"])
    return assemble(
        f"model = keras.Sequential([layers.Dense({units})])",
        f"model.compile(keras.optimizers.SGD(0.01), {loss}, {more})",
        *lines,
        source,
        *draw.some(calls, 1),
    )


def frames(draw: Draw) -> str:
    """Data frames, series and their columns."""
    rows = draw.whole(5, 8)
    lines = [
        f"rng = np.random.default_rng({draw.whole(0, 3)})",
        f"frame = pd.DataFrame({{'p': rng.normal(size={rows}),"
        f" 'q': rng.normal(size={rows}).astype('float32'), 'k': rng.integers(0, 3, {rows}),"
        f" 'flag': rng.normal(size={rows}) > 0, 'goal': rng.normal(size={rows})}})",
    ]
    if draw.chance(0.3):
        lines.append(draw.one(["frame.index = frame.index + 10", "frame = frame[::-1]",
                               "frame = frame.sample(frac=1.0, random_state=0)"]))  # fmt: skip
    kind = draw.one(["frame", "frame", "series", "columns", "dict", "values", "mixed"])
    weights = draw.one(["", "", "frame['k'] + 1", "(frame['k'] + 1).to_numpy()"])
    goal = draw.one(["frame['goal']", "frame.pop('goal')", "frame[['goal']]", "frame.goal",
                     "frame['goal'].values", "frame['k']", "frame['flag']"])  # fmt: skip
    lines.append(f"y = {goal}")
    if weights:
        lines.append(f"w = {weights}")
    chosen = draw.some(["p", "q", "k", "flag"], 2, 4)
    if kind == "columns":
        chosen = draw.some(["p", "q", "k"], 2)
        lines.append(f"x = {{name: frame[name] for name in {chosen}}}")
    elif kind == "dict":
        chosen = draw.some(["p", "q", "k"], 2)
        lines.append(f"x = dict(frame[{chosen}])")
    elif kind == "values":
        lines.append(f"x = frame[{chosen}].to_numpy().astype('float32')")
    elif kind == "mixed":
        chosen = ["p", "q"]
        lines.append("x = {'p': frame['p'].to_numpy(), 'q': frame[['q']]}")
    elif kind == "series":
        lines.append(f"x = frame[{draw.one(['p', 'q', 'k'])!r}]")
    else:
        lines.append(f"x = frame[{chosen}]")
    if kind in ("columns", "dict", "mixed"):
        shape = draw.one(["(1,)", "(1,)", "()"]) if kind != "mixed" else "(1,)"
        whole = "keras.ops.expand_dims(v, -1)" if shape == "()" else "v"
        model = (
            f"inputs = {{name: keras.Input({shape}, name=name) for name in {chosen}}}\n"
            f"h = layers.concatenate([{whole} for v in inputs.values()])\n"
            "model = keras.Model(inputs, layers.Dense(1)(h))"
        )
    else:
        first = ""
        if kind == "values" and draw.chance(0.3):  # one that adapted to nothing is undefined
            lines.append("normalize = layers.Normalization()\nnormalize.adapt(x)")
            first = "normalize, "
        model = f"model = keras.Sequential([{first}layers.Dense(1)])"
        if kind == "series":
            model = "model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])"
    extra = ", sample_weight=w" if weights else ""
    size = draw.whole(2, 4)
    fit = draw.some(["shuffle=False", "validation_split=0.3", "epochs=2",
                     f"validation_data=(x, y{', w' if weights else ''})"], 0, 2)  # fmt: skip
    if "validation_split=0.3" in fit and len(fit) == 2 and "data" in fit[1]:
        fit.pop()
    given = ", ".join([f"batch_size={size}", "verbose=0", *fit])
    calls = [
        f"show('history', model.fit(x, y{extra}, {given}).history)",
        f"show('evaluated', model.evaluate(x, y{extra}, batch_size={size}, verbose=0))",
        f"show('predicted', model.predict(x, batch_size={size}, verbose=0))",
    ]
    alone = [
        f"show('trained', model.train_on_batch(x, y{extra}))",
        f"show('tested', model.test_on_batch(x, y{extra}))",
        "show('predicted', model.predict_on_batch(x))",
        "data = tf.data.Dataset.from_tensor_slices((x, y)).batch(2)\n"
        "show('history', model.fit(data, verbose=0).history)",
    ]
    chosen_calls = draw.some(calls, 1) + ([draw.one(alone)] if draw.chance(0.4) else [])
    attempts = [
        call if call.startswith("data") else f"attempt({call[5:].replace(', ', ', lambda: ', 1)}"
        for call in chosen_calls
    ]
    compiled = "model.compile(keras.optimizers.SGD(0.01), 'mse', metrics=['mae'])"
    return assemble(*lines, model, compiled, *attempts)


def features(draw: Draw) -> str:
    """`FeatureSpace`, from tables."""
    kinds = {
        "age": ["'float'", "'float_normalized'", "'float_discretized'",
                "keras.utils.FeatureSpace.float_discretized(num_bins=3)",
                "keras.utils.FeatureSpace.float_rescaled(scale=0.5)",
                "keras.utils.FeatureSpace.float_normalized()"],
        "job": ["'string_categorical'", "'string_hashed'",
                "keras.utils.FeatureSpace.string_categorical(num_oov_indices=0)",
                "keras.utils.FeatureSpace.string_categorical(max_tokens=3, output_mode='int')",
                "keras.utils.FeatureSpace.string_hashed(num_bins=4, output_mode='one_hot')"],
        "rank": ["'integer_categorical'", "'integer_hashed'",
                 "keras.utils.FeatureSpace.integer_categorical(num_oov_indices=1)"],
    }  # fmt: skip
    names = draw.some(list(kinds), 2)
    chosen = {name: draw.one(kinds[name]) for name in names}
    written = ", ".join(f"'{name}': {kind}" for name, kind in chosen.items())
    mode = draw.one(["concat", "concat", "dict"])
    options = [f"output_mode='{mode}'"]
    if len(names) == 3 and draw.chance(0.4):
        pair = draw.one(["('job', 'rank')", "('rank', 'job')"])
        options.append(f"crosses=[{pair}], crossing_dim={draw.whole(4, 6)}")
    rows = draw.whole(5, 8)
    jobs = [draw.one(["cook", "baker", "nurse"]) for _ in range(rows)]
    table = {
        "age": f"numbers({rows}).round(2)",
        "job": f"np.array({jobs})",
        "rank": f"whole({rows}, below=4)",
    }
    columns = ", ".join(f"'{name}': {table[name]}" for name in names)
    adapting = draw.one([f".batch({draw.whole(2, 3)})", "", ".batch(8)"])
    uses = [
        "show('one', space({name: v[:1] for name, v in table.items()}))",
        "show('two', space({name: v[:2] for name, v in table.items()}))",
        "show('mapped', next(iter(data.batch(2).map(space))))",
        "inputs = space.get_inputs()\nprint('inputs', {n: (tuple(t.shape), t.dtype)"
        " for n, t in inputs.items()})",
    ]
    if mode == "concat":
        uses.append("print('encoded', tuple(space.get_encoded_features().shape))")
    else:
        uses.append(
            "print('encoded', {n: tuple(t.shape) for n, t in space.get_encoded_features().items()})"
        )
    body = assemble(
        f"space = keras.utils.FeatureSpace({{{written}}}, {', '.join(options)})",
        f"table = {{{columns}}}",
        "data = tf.data.Dataset.from_tensor_slices(table)",
        f"space.adapt(data{adapting})",
        *draw.some(uses, 2),
    )
    return body


def texts(draw: Draw) -> str:
    """Training on text: a vectorization in the pipeline, and what comes of it."""
    lines = ["the cat sat", "a dog ran", "the dog sat down", "cats and dogs", "a cat", "the end"]
    mode = draw.one(["int", "int", "multi_hot", "tf_idf"])
    length = ", output_sequence_length=4" if mode == "int" else ""
    tokens = draw.one(["", ", max_tokens=8"])
    stack = (
        f"layers.Embedding(20, 3, mask_zero={draw.chance()}), layers.GlobalAveragePooling1D(), "
        if mode == "int"
        else ""
    )
    labels = [draw.whole(0, 1) for _ in lines]
    made = draw.one(
        ["data = tf.data.Dataset.from_tensor_slices((texts, y)).batch(2)"
         ".map(lambda t, v: (vectorize(t), v))",
         "x = np.asarray(vectorize(texts))\ndata = tf.data.Dataset.from_tensor_slices((x, y))"
         ".batch(2)",
         "data = tf.data.Dataset.from_tensor_slices((texts, y))"
         ".map(lambda t, v: (vectorize(t), v)).batch(3).cache().prefetch(1)"]
    )  # fmt: skip
    source = draw.one(["texts", "texts.tolist()", "tf.data.Dataset.from_tensor_slices(texts)"])
    if "from_tensor" in source and draw.chance():
        source += ".batch(2)"
    calls = [
        "show('history', model.fit(data, epochs=2, verbose=0).history)",
        "show('evaluated', model.evaluate(data, verbose=0))",
        "show('predicted', model.predict(data, verbose=0))",
    ]
    return assemble(
        f"texts, y = np.array({lines}), np.array({labels})",
        f"vectorize = layers.TextVectorization(output_mode='{mode}'{length}{tokens})",
        f"vectorize.adapt({source})",
        f"model = keras.Sequential([{stack}layers.Dense(1, activation='sigmoid')])",
        "model.compile('sgd', 'binary_crossentropy', metrics=['accuracy'])",
        made,
        *draw.some(calls, 1),
        "print([str(word) for word in vectorize.get_vocabulary()])",
    )


def plain(draw: Draw) -> str:
    """What is passed as it stands: datasets of torch and Hugging Face, lists, iterators, sparse."""
    rows = draw.whole(4, 7)
    made = draw.one(
        [
            "data = torch.utils.data.TensorDataset(torch.from_numpy(a), torch.from_numpy(y))",
            "import datasets\ndata = datasets.Dataset.from_dict({'a': a, 'y': y})"
            ".with_format('torch')",
            "data = [(a[:2], y[:2]), (a[2:], y[2:])]",
            "data = iter([(a[:2], y[:2]), (a[2:], y[2:])])",
            "data = zip([a[:2], a[2:]], [y[:2], y[2:]])",
            "data = ((a[:2], y[:2]), (a[2:], y[2:]))",
            "data = tf.data.Dataset.from_tensor_slices((a, y))",
            "data = {'a': a, 'y': y}",
            "data = tf.data.Dataset.from_tensors((a, y))",
            "data = a.tolist()",
            "import scipy.sparse\ndata = scipy.sparse.csr_matrix(a)",
            "data = iter(tf.data.Dataset.from_tensor_slices((a, y)).batch(2))",
            "data = map(lambda i: (a[i:i + 2], y[i:i + 2]), range(0, 4, 2))",
            "data = np.array(a.tolist(), dtype=object)",
            "data = torch.utils.data.DataLoader(list(zip(a, y)), batch_size=2)",
            "data = torch.utils.data.DataLoader(a, batch_size=2)",
        ]
    )
    call = draw.one(
        ["model.fit(data, verbose=0).history", "model.evaluate(data, verbose=0)",
         "model.predict(data, verbose=0)", "model.fit(data, y, verbose=0).history",
         "model.evaluate(data, y, verbose=0)", "model.train_on_batch(data, y)",
         "model.predict_on_batch(data)"]
    )  # fmt: skip
    start = draw.one(["", "keras.Input((3,)), "])
    return assemble(
        f"a, y = numbers({rows}, 3), numbers({rows}, 2, seed=1)",
        f"model = keras.Sequential([{start}layers.Dense(2)])\nmodel.compile('sgd', 'mse')",
        made,
        f"attempt('called', lambda: {call})",
    )
