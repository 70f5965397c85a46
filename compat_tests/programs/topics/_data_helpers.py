"""Programs about what prepares data: `keras.utils`, datasets of folders, `adapt`, pipelines."""

from __future__ import annotations

from ..drawing import Draw, assemble

__all__ = ["adapted", "folders", "pipeline", "utilities", "windows"]

_SHOW_BATCHES = '''
def show_batches(data, count=9):
    """Print the elements of a pipeline."""
    for i, element in enumerate(data):
        if i < count:
            parts = element if isinstance(element, tuple) else (element,)
            print("element", type(element).__name__ if isinstance(element, tuple) else "one")
            for part in parts:
                part = np.asarray(part)
                print("part", part.dtype, part.shape, part.ravel()[:12].tolist())
'''


def utilities(draw: Draw) -> str:
    """Functions of `keras.utils` on arrays."""
    rows = draw.whole(2, 8)
    padding, truncating = draw.one(["pre", "post"]), draw.one(["pre", "post"])
    options = [
        f"padding='{padding}'", f"truncating='{truncating}'", f"maxlen={draw.whole(1, 5)}",
        "value=-1.0", "dtype='float32'", "value=7",
    ]  # fmt: skip
    chosen = "".join(f", {o}" for o in draw.some(options[:5], 0, 4))
    ragged = [[draw.whole(0, 9) for _ in range(draw.whole(0, 4))] for _ in range(3)]
    labels = f"whole({rows}, below=3)"
    left, right = draw.one(["0.5", "0.25", "2"]), draw.one(["None", "0.25", "1"])
    if draw.chance():
        left, right = right, left
    shuffle = draw.chance()
    split = f"left_size={left}, right_size={right}, shuffle={shuffle}, seed=1"
    of = draw.one(["a", "(a, b)", "[a, b]", "{'a': a, 'b': b}", "a.tolist()"])
    if draw.chance(0.3):
        of = draw.one(
            ["tf.data.Dataset.from_tensor_slices(a)", "tf.data.Dataset.from_tensor_slices((a, b))"]
        )
    parts = "show_batches(left)\nshow_batches(right)"
    if not shuffle and "tf." not in of:
        # Keras on torch shuffles all the same.
        parts = (
            "split = [[np.asarray(v).tolist() for v in row] for row in (*left, *right)]\n"
            f"kept = [list(map(np.ndarray.tolist, row)) for row in"
            f" {'zip(a, b)' if 'b' in of else 'zip(a)'}]\n"
            "print('rows', sorted(split) if len(split) == len(kept) else len(split))\n"
            "print('kept', split == kept[:len(left)] + kept[len(kept) - len(right):])"
        )
    unpacked = draw.one(["a", "(a,)", "(a, b)", "(a, b, a)", "[a, b]"])
    packed = draw.one(["a", "a, b", "a, b, a", "[a]", "[a], b", "(a,)", "a, None, b"])
    strange = draw.one(["(a, b, a, b)", "()", "{}", "None"])
    size = draw.one(["1.5", "0", "-1", "100", "None", "'x'"])
    uneven = draw.one(["[1, 2]", "[[1], 2]", "[]", "[[]]", "[[[1, 2]], [[3, 4], [5, 6]]]", "5"])
    axis, order = draw.one([-1, 1]), draw.whole(1, 3)
    calls = [
        f"show('padded', keras.utils.pad_sequences({ragged}{chosen}))",
        "show('padded', keras.utils.pad_sequences([[1.5, 2.5], [0.5]], dtype='float32', value=-1))",
        "show('padded', keras.utils.pad_sequences([['u', 'v'], ['w']], dtype=object, value='-')"
        ".tolist())",
        f"show('padded', keras.preprocessing.sequence.pad_sequences({ragged}, maxlen=3))",
        f"attempt('padded', lambda: keras.utils.pad_sequences({uneven}))",
        f"show('categories', keras.utils.to_categorical({labels}))",
        f"show('categories', keras.utils.to_categorical({labels}, num_classes={draw.whole(3, 5)}))",
        f"show('categories', keras.utils.to_categorical({labels}[:, None], 4))",
        f"show('categories', keras.utils.to_categorical({labels}.tolist(), 3))",
        "show('categories', keras.utils.to_categorical(torch.tensor([0, 2, 1]), 3))",
        f"show('normal', keras.utils.normalize(a, axis={axis}, order={order}))",
        "show('normal', keras.utils.normalize(torch.from_numpy(a)))",
        f"show('unpacked', keras.utils.unpack_x_y_sample_weight({unpacked}))",
        f"attempt('unpacked', lambda: keras.utils.unpack_x_y_sample_weight({strange}))",
        f"show('packed', keras.utils.pack_x_y_sample_weight({packed}))",
        f"left, right = keras.utils.split_dataset({of}, {split})\n"
        f"print(len(left), len(right))\n{parts}",
        f"attempt('split', lambda: keras.utils.split_dataset(a, left_size={size}))",
    ]
    chosen_calls = draw.some(calls, 2, 5)
    helper = [_SHOW_BATCHES] if any("show_batches(" in c for c in chosen_calls) else []
    return assemble(
        *helper,
        f"a, b = numbers({rows}, 3), whole({rows}, 2, seed=1)",
        *chosen_calls,
    )


def _source_of(draw: Draw, name: str, numeric: bool) -> str:
    """What a layer may adapt to."""
    options = [name, f"tf.data.Dataset.from_tensor_slices({name}).batch({draw.whole(2, 3)})"]
    if numeric:
        options += [f"torch.from_numpy({name})", f"tf.constant({name})", f"list({name})"]
    else:
        options += [f"{name}.tolist()", f"tf.constant({name})"]
    return draw.one(options)


def adapted(draw: Draw) -> str:
    """A preprocessing layer adapted to data, used alone, in models and in pipelines."""
    kind = draw.one(["normalization", "discretization", "lookup", "integers", "text", "category"])
    rows = draw.whole(5, 8)
    if kind in ("normalization", "discretization"):
        data = f"data = numbers({rows}, 3)"
        if kind == "normalization":
            arguments = draw.one(["", "axis=None", "axis=-1", "invert=True", "axis=1"])
            layer = f"layers.Normalization({arguments})"
        else:
            mode = draw.one(["int", "one_hot", "multi_hot", "count"])
            layer = f"layers.Discretization(num_bins={draw.whole(2, 4)}, output_mode={mode!r})"
            layer = layer.replace(", output_mode='int'", "")
        numeric, probe = True, "data[:2]"
    elif kind in ("lookup", "text"):
        words = ["the cat sat", "a dog ran", "the dog sat", "Cats & dogs!", "a cat", "the end"]
        lines = [draw.one(words) for _ in range(rows)]
        if kind == "lookup":
            lines = [draw.one(line.split()) for line in lines]
            mode = draw.one(["int", "one_hot", "multi_hot", "count", "tf_idf"])
            options = ["mask_token='x'", "num_oov_indices=2", "max_tokens=5", "oov_token='?'"]
            chosen = draw.some(options, 0, 2)
            if mode != "int":
                chosen = [c for c in chosen if "mask" not in c] + [f"output_mode={mode!r}"]
            layer = f"layers.StringLookup({', '.join(chosen)})"
        else:
            mode = draw.one(["int", "int", "multi_hot", "count", "tf_idf"])
            options = [
                "max_tokens=6", "ngrams=2", "standardize='lower'", "standardize=None",
                "split='character'",
            ]  # fmt: skip
            chosen = draw.some(options, 0, 2)
            if "standardize=None" in chosen and "standardize='lower'" in chosen:
                chosen.remove("standardize=None")
            chosen.append(f"output_mode={mode!r}")
            if mode == "int" and draw.chance():
                chosen.append("output_sequence_length=4")
            layer = f"layers.TextVectorization({', '.join(chosen)})"
        data, numeric, probe = f"data = np.array({lines})", False, "data[:2]"
    elif kind == "integers":
        data = f"data = whole({rows}, below=6).astype('int64')"
        mode = draw.one(["int", "one_hot", "multi_hot", "count"])
        layer = f"layers.IntegerLookup(output_mode={mode!r})"
        numeric, probe = True, "data[:2]"
    else:
        layer = draw.one(
            [
                f"layers.CategoryEncoding(num_tokens=6, output_mode='{m}')"
                for m in ("one_hot", "multi_hot", "count")
            ]
            + ["layers.Hashing(num_bins=4)", "layers.Rescaling(0.5, 1.0)"]
        )
        data, numeric, probe = f"data = whole({rows}, below=6)", True, "data[:2]"
        if "one_hot" not in layer:
            data = f"data = whole({rows}, 2, below=6)"
    lines = [data, f"layer = {layer}"]
    if kind != "category":
        lines.append(f"layer.adapt({_source_of(draw, 'data', numeric)})")
    uses = [
        f"show('called', layer({probe}))",
        "show('mapped', [np.asarray(e) for e in"
        " tf.data.Dataset.from_tensor_slices(data).batch(2).map(layer).take(2)])",
        "show('mapped', [np.asarray(e[0]) for e in tf.data.Dataset.from_tensor_slices((data, data))"
        ".batch(2).map(lambda u, v: (layer(u), v)).take(2)])",
    ]
    if numeric:
        uses.append(f"show('called', layer(torch.from_numpy({probe})))")
        uses.append("show('weights', [tuple(w.shape) for w in layer.weights])")
        uses.append(
            f"show('rebuilt', type(layer).from_config(layer.get_config())({probe}))"
            if kind == "category"
            else f"show('sequential', keras.Sequential([layer])({probe}))"
        )
    if kind in ("lookup", "integers", "text"):
        # Those that Keras learned from an array are NumPy's strings.
        uses.append("show('vocabulary', [str(word) for word in layer.get_vocabulary()])")
        uses.append("show('size', layer.vocabulary_size())")
    if kind == "discretization":
        uses.append("show('bins', np.asarray(layer.bin_boundaries))")
    if kind == "normalization":
        uses.append("show('mean', layer.mean)\nshow('variance', layer.variance)")
    return assemble(*lines, *draw.some(uses, 2))


def folders(draw: Draw) -> str:
    """`image_dataset_from_directory` and `text_dataset_from_directory`."""
    classes = draw.some(["cats", "dogs", "ants"], 2)
    shared = [
        f"batch_size={draw.whole(1, 3)}", "shuffle=False", f"seed={draw.whole(0, 3)}",
        "label_mode=" + draw.one(["'int'", "'categorical'", "None", "'binary'"]),
        "batch_size=None",
    ]  # fmt: skip
    chosen = draw.some(shared[:4], 1)
    if "label_mode='binary'" in chosen and len(classes) != 2:
        chosen.remove("label_mode='binary'")
    # TensorFlow's generator shuffles the elements: no other library draws its numbers.
    if "shuffle=False" not in chosen:
        chosen.append("shuffle=False")
    if draw.chance(0.4):
        chosen = [c for c in chosen if "seed" not in c] + ["seed=3", "validation_split=0.4"]
        chosen.append(f"subset={draw.one(['training', 'validation', 'both'])!r}")
    if draw.chance(0.1):
        chosen.append(draw.one(["class_names=['cats', 'birds']", "labels=[0, 1]", "labels=None"]))
    if "labels=None" in chosen:
        chosen = [c for c in chosen if not c.startswith("label_mode")] + ["label_mode=None"]
    files = draw.whole(2, 4)
    if draw.chance(0.6):
        text = (
            f"for c, kind in enumerate({classes}):\n    os.makedirs('files/' + kind)\n"
            f"    for i in range({files}):\n"
            "        image = whole(4, 5, 3, below=255, seed=9 * c + i).astype('uint8')\n"
            "        keras.utils.save_img(f'files/{kind}/{i}.png', image, scale=False)"
        )
        name = "image_dataset_from_directory"
        chosen.append(f"image_size={draw.one([(4, 5), (3, 3), (8, 6)])}")
        chosen += draw.some(
            ["color_mode='grayscale'", "interpolation='nearest'", "crop_to_aspect_ratio=True"], 0, 1
        )
    else:
        text = (
            f"for c, kind in enumerate({classes}):\n    os.makedirs('files/' + kind)\n"
            f"    for i in range({files}):\n"
            "        with open(f'files/{kind}/{i}.txt', 'w') as file:\n"
            "            file.write(f'{kind} number {i} ' * (i + 1))"
        )
        name = "text_dataset_from_directory"
        chosen += draw.some(["max_length=7"], 0, 1)
    call = f"data = keras.utils.{name}('files', {', '.join(dict.fromkeys(chosen))})"
    if "interpolation='nearest'" in chosen and draw.chance(0.7):
        # Of another dtype in Keras, which hides whether the pixels are the same.
        call += (
            "\nto_floats = lambda images, *labels: (tf.cast(images, 'float32'), *labels)\n"
            "data = [p.map(to_floats) for p in (data if isinstance(data, list) else [data])]"
        )
    looks = ["if not isinstance(data, (list, tuple)):\n    data = [data]", "for part in data:"]
    looks.append("    print(getattr(part, 'class_names', None))\n    show_batches(part)")
    return assemble(_SHOW_BATCHES, text, call, "\n".join(looks))


def windows(draw: Draw) -> str:
    """`timeseries_dataset_from_array`, and training on it."""
    length = draw.whole(8, 14)
    options = [
        f"sequence_stride={draw.whole(1, 3)}", f"sampling_rate={draw.whole(1, 2)}",
        f"batch_size={draw.whole(1, 4)}", "start_index=1", f"end_index={length - 1}",
    ]  # fmt: skip
    chosen = "".join(f", {o}" for o in draw.some(options, 0, 4))
    targets = draw.one(["None", "series[3:]", "series[:, 0]", "whole(len(series))"])
    if targets == "series[3:]":  # windows without a target are left out here
        chosen = chosen.replace(", start_index=1", "").replace(f", end_index={length - 1}", "")
    size = draw.whole(1, 4)
    lines = [
        f"series = numbers({length}, 2)",
        f"data = keras.utils.timeseries_dataset_from_array(series, {targets}, {size}{chosen})",
        "show_batches(data)",
    ]
    if targets == "series[:, 0]" and draw.chance(0.7):
        lines.append(
            "model = keras.Sequential([layers.Flatten(), layers.Dense(1)])\n"
            "model.compile('sgd', 'mse')\nshow('history', model.fit(data, verbose=0).history)"
        )
    elif targets == "None" and draw.chance():
        lines.append(
            "model = keras.Sequential([layers.Flatten(), layers.Dense(1)])\n"
            "show('predicted', model.predict(data, verbose=0))"
        )
    return assemble(_SHOW_BATCHES, *lines)


def pipeline(draw: Draw) -> str:
    """A pipeline of `tf.data` on its own."""
    rows = draw.whole(4, 9)
    start = draw.one(
        [
            "tf.data.Dataset.from_tensor_slices(a)",
            "tf.data.Dataset.from_tensor_slices((a, b))",
            "tf.data.Dataset.from_tensor_slices({'a': a, 'b': b})",
            f"tf.data.Dataset.range({rows})",
            "tf.data.Dataset.zip((tf.data.Dataset.from_tensor_slices(a),"
            " tf.data.Dataset.from_tensor_slices(b)))",
            "tf.data.Dataset.from_tensors((a, b))",
        ]
    )
    calls = []
    single = "range" in start or start.endswith("slices(a)")
    for _ in range(draw.whole(1, 5)):
        options = [
            f".take({draw.whole(1, 5)})", f".skip({draw.whole(1, 2)})", ".repeat(2)", ".cache()",
            f".batch({draw.whole(1, 3)})", f".batch({draw.whole(1, 3)}, drop_remainder=True)",
            ".prefetch(1)", ".shard(2, 0)", ".enumerate()",
        ]  # fmt: skip
        if single and not any("enumerate" in c for c in calls):
            options += [".map(lambda v: v * 2)", ".map(lambda v: (v, v + 1))"]
        call = draw.one(options)
        single = single and "(v, v" not in call and "enumerate" not in call
        calls.append(call)
    look = draw.one(["np.asarray(v)", "v.numpy()"])
    return assemble(
        f"a, b = numbers({rows}, 2), whole({rows}, seed=1)",
        f"data = {start}{''.join(calls)}",
        "try:\n    print('length', len(data))\nexcept TypeError:\n    print('no length')"
        "\nprint('cardinality', int(data.cardinality()))",
        "for element in data.take(6):\n"
        f"    show('element', keras.tree.map_structure(lambda v: {look}, element))",
    )
