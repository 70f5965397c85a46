"""Life cycles: save, load, clone, copy, freeze, quantize, resume, in any order.

Not written: the bytes of a `__lambda__` (they hold addresses of interned objects), addresses in
`shared_object_id`, and names that carry counters of classes that only one of the libraries makes.
"""

from __future__ import annotations

import re

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble
from . import _lives_further as further
from . import _lives_habits as habits
from . import _lives_objects as objects
from . import _lives_parts as parts
from . import _lives_users as users

__all__ = ["program"]

_UNSAFE = "keras.config.enable_unsafe_deserialization()"


def _opening(draw: Draw, cast: users.Cast) -> list[str]:
    """The model, trained a little, and its data."""
    rows = draw.whole(4, 9)
    lines = [cast.classes] if cast.classes else []
    if "lambda" in cast.source:
        lines.append(_UNSAFE)
    lines.append(f"known = {cast.known}")
    lines.append(cast.source)
    lines.append(_data(cast, rows))
    if draw.chance(0.8):
        lines.append(pieces.compilation(draw))
        if draw.chance(0.8):
            lines.append(_train(draw))
    else:
        lines.append("model.compile('sgd', 'mse')")
    return lines


def _data(cast: users.Cast, rows: int) -> str:
    return f"x = numbers(*{(rows, *cast.inputs)})\ny = numbers(*{(rows, *cast.outputs)}, seed=1)"


def _train(draw: Draw) -> str:
    return draw.one(
        [
            "show('history', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)",
            "show('history', model.fit(x, y, epochs=2, batch_size=4, verbose=0).history)",
            "show('loss', model.train_on_batch(x, y))",
        ]
    )


def _keras_file(draw: Draw, cast: users.Cast) -> str:
    path = f"{draw.name('model')}.keras"
    save = draw.one(
        [f"model.save('{path}')", f"keras.saving.save_model(model, '{path}')"]
        + ([f"model.save('{path}', overwrite=True)"] if draw.chance() else [])
    )
    load = draw.one(
        [
            f"model = keras.models.load_model('{path}', custom_objects=known)",
            f"model = keras.saving.load_model('{path}', custom_objects=known, safe_mode=False)",
            f"with keras.saving.custom_object_scope(known):\n"
            f"    model = keras.models.load_model('{path}')",
            f"model = keras.models.load_model('{path}', custom_objects=known, compile=False)\n"
            f"print('compiled', model.compiled)\n" + pieces.compilation(draw),
        ]
    )
    return f"{save}\n{load}"


def _archive(draw: Draw, cast: users.Cast) -> str:
    """What lies in a `.keras` file."""
    path = f"{draw.name('model')}.keras"
    return (
        f"import zipfile\nmodel.save('{path}')\n"
        f"with zipfile.ZipFile('{path}') as archive:\n"
        "    print(sorted(archive.namelist()))\n"
        "    config = json.loads(archive.read('config.json'))\n"
        "    show_compiled(config.pop('compile_config'))\n"
        "    print('config', as_json(config))\n"
        "    print('metadata', sorted(json.loads(archive.read('metadata.json'))))\n"
        "    open('in.weights.h5', 'wb').write(archive.read('model.weights.h5'))\n"
        "import h5py\n"
        "with h5py.File('in.weights.h5') as file:\n"
        "    names = []\n"
        "    file.visit(names.append)\n"
        "    print(names)"
    )


def _legacy_file(draw: Draw, cast: users.Cast) -> str:
    path = f"{draw.name('model')}.h5"
    options = draw.one(["", "", ", include_optimizer=False"])
    again = "model.compile('sgd', 'mse')" if options else ""
    load = draw.one(
        [
            f"model = keras.models.load_model('{path}', custom_objects=known)",
            f"model = keras.models.load_model('{path}', custom_objects=known, compile=False)\n"
            "model.compile('sgd', 'mse')",
        ]
    )
    return f"model.save('{path}'{options})\n{load}\n{again}"


def _weight_file(draw: Draw, cast: users.Cast) -> str:
    path, options, also = draw.one(
        [
            ("w.weights.h5", "", ""),
            ("w.weights.h5", "", ", skip_mismatch=True"),
            ("w.weights.json", ", max_shard_size=0.0000005", ""),
            ("w.h5", "", ""),
            ("w.h5", "", ", by_name=True"),
        ]
    )
    if path == "w.h5":  # written only by older Kerases; saving a model gives one
        # Compiled again: writing `.h5` takes the optimizer out of what Keras's later files hold.
        save = f"model.save('w.h5')\n{pieces.compilation(draw)}"
    else:
        save = f"model.save_weights('{path}'{options})"
    listing = draw.one(["", "print(sorted(os.listdir('.')))"])
    disturb = draw.one(
        [
            "model.set_weights([w * 0.0 for w in model.get_weights()])",
            "for w in model.weights:\n    w.assign(w * 0)",
        ]
    )
    return f"{save}\n{listing}\n{disturb}\nmodel.load_weights('{path}'{also})"


def _clone(draw: Draw, cast: users.Cast) -> str:
    clone = draw.one(
        [
            "clone = keras.models.clone_model(model)",
            f"clone = keras.models.clone_model(model, input_tensors="
            f"keras.Input({cast.inputs}, name='fresh'))",
            "clone = keras.models.clone_model(model, clone_function=lambda layer:"
            " layer.__class__.from_config(layer.get_config()))",
        ]
    )
    return (
        f"{clone}\n"
        "print(type(clone).__name__, clone.name, [w.path for w in clone.weights])\n"
        "clone.set_weights(model.get_weights())\n"
        f"model = clone\n{pieces.compilation(draw)}"
    )


def _from_config(draw: Draw, cast: users.Cast) -> str:
    made = draw.one(
        [
            "with keras.saving.custom_object_scope(known):\n"
            "    other = model.__class__.from_config(model.get_config())",
            "other = keras.models.model_from_json(model.to_json(), custom_objects=known)",
            "other = keras.saving.deserialize_keras_object("
            "keras.saving.serialize_keras_object(model), custom_objects=known)",
            "config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))\n"
            "other = keras.saving.deserialize_keras_object(config, custom_objects=known)",
            "with keras.utils.custom_object_scope(known):\n"
            "    other = keras.layers.deserialize(keras.layers.serialize(model))",
        ]
    )
    return (
        f"{made}\n{users.built('other', cast.inputs, cast.subclassed)}\n"
        "print(other.name, other.compiled, len(other.weights), [w.path for w in other.weights])\n"
        f"other.set_weights(model.get_weights())\nmodel = other\n{pieces.compilation(draw)}"
    )


def _copies(draw: Draw, cast: users.Cast, adapted: bool = False) -> str:
    # The life goes on with the original: Keras copies through a file, by which layers within
    # layers get other names, adapters are merged and classes must be registered; and its copy
    # draws seeds and names of its own, by which later ones would be others as well.
    copied = draw.one(["copy.deepcopy(model)", "pickle.loads(pickle.dumps(model))"])
    names = "twin.name, [l.name for l in twin.layers]"
    after = "keras.utils.set_random_seed(7)"
    if cast.classes:  # whose constructors make layers without names
        names = "len(twin.layers)"
        after = f"keras.utils.clear_session()\n{after}"
        if "lambda" in cast.source:
            after = f"{after}\n{_UNSAFE}"
    made = (
        f"with keras.saving.custom_object_scope(known):\n    twin = {copied}\n"
        f"print(type(twin).__name__, twin.compiled, {names})\n"
    )
    if adapted:  # which Keras merges into the few bits of the copy's kernel
        return (
            f"{made}print('alike', np.allclose(model.predict(x, verbose=0),"
            f" twin.predict(x, verbose=0), atol=1e-6))\n{after}"
        )
    return (
        f"{made}"
        "model.set_weights([w + 0.5 for w in model.get_weights()])\n"
        "show('twin', twin.predict(x, verbose=0))\n"
        f"show('loss of the twin', twin.train_on_batch(x, y))\n{after}"
    )


def _weights_by_hand(draw: Draw, cast: users.Cast) -> str:
    return draw.one(
        [
            "values = model.get_weights()\nprint([v.shape for v in values])\n"
            "model.set_weights([v * 0.5 for v in values])",
            "for layer in model.layers:\n"
            "    layer.set_weights([v * 0.9 for v in layer.get_weights()])",
            "print([(w.path, w.trainable) for w in model.weights])",
            "print(model.count_params(), len(model.trainable_variables), len(model.variables))",
            "attempt('too few', lambda: model.set_weights(model.get_weights()[1:]))",
            "tree = model.get_state_tree()\nprint(sorted(tree))\n"
            "print(as_json(keras.tree.map_structure(lambda v: list(v.shape), tree)))",
            "flat = model.get_state_tree(value_format='numpy_array')\nmodel.set_state_tree(flat)",
        ]
    )


def _configs(draw: Draw, cast: users.Cast) -> str:
    return draw.one(
        [
            "print('config', as_json(model.get_config()))",
            *(
                f"config = {config}\nshow_compiled(config.pop('compile_config'))\n"
                "print('serialized', as_json(config))"
                for config in (
                    "json.loads(model.to_json())",
                    "keras.saving.serialize_keras_object(model)",
                )
            ),
            "show_compiled(model.get_compile_config())",
            "for layer in model.layers:\n"
            "    print('layer', layer.name, as_json(layer.get_config()))",
            "for layer in model.layers:\n"
            "    print('build', layer.name, as_json(layer.get_build_config()))",
            "for layer in model.layers:\n"
            "    print('whole', as_json(keras.layers.serialize(layer)))",
            "print('optimizer', as_json(keras.optimizers.serialize(model.optimizer)))",
        ]
    )


def _summary(draw: Draw, cast: users.Cast) -> str:
    options = draw.some(
        [
            "expand_nested=True",
            "show_trainable=True",
            f"line_length={draw.one([60, 80, 110])}",
        ],
        0,
        2,
    )
    return f"model.summary({', '.join(options)})"


def _freeze(draw: Draw, cast: users.Cast) -> str:
    what = draw.one(
        [
            "model.trainable = False",
            "model.trainable = True",
            "model.layers[0].trainable = False",
            "for layer in model.layers[:-1]:\n    layer.trainable = False",
            "model.layers[-1].trainable = not model.layers[-1].trainable",
        ]
    )
    return (
        f"{what}\nprint(len(model.trainable_weights), [l.trainable for l in model.layers])\n"
        f"{pieces.compilation(draw)}"
    )


def _optimizer_state(draw: Draw, cast: users.Cast) -> str:
    return draw.one(
        [
            "print([(v.path, tuple(v.shape)) for v in model.optimizer.variables])",
            "show('state', [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables])",
            "store = {}\nmodel.optimizer.save_own_variables(store)\n"
            "print({k: np.shape(keras.ops.convert_to_numpy(v)) for k, v in store.items()})",
            "store = {}\nmodel.optimizer.save_own_variables(store)\n"
            "again = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer))\n"
            "again.build(model.trainable_variables)\n"
            "again.load_own_variables({k: keras.ops.convert_to_numpy(v)"
            " for k, v in store.items()})\n"
            "model.compile(again, 'mse')\nprint(int(again.iterations))",
            "print(int(model.optimizer.iterations), type(model.optimizer).__name__,"
            " float(model.optimizer.learning_rate))",
            "model.compile(model.optimizer.__class__.from_config(model.optimizer.get_config()),"
            " 'mae')",
        ]
    )


_ACTIONS = (
    _keras_file, _keras_file, _keras_file, _archive, _legacy_file, _weight_file, _weight_file,
    _clone, _from_config, _from_config, _copies, _copies, _weights_by_hand, _configs, _configs,
    _summary, _freeze, _optimizer_state,
)  # fmt: skip


def _action(draw: Draw, cast: users.Cast) -> str:
    action = draw.one(_ACTIONS)
    while cast.subclassed and action in (_legacy_file, _clone):
        action = draw.one(_ACTIONS)
    return action(draw, cast)


def _life(draw: Draw) -> str:
    """Anything after anything, then trained on."""
    cast = users.cast(draw)
    lines = _opening(draw, cast)
    for _ in range(draw.whole(2, 5)):
        lines.append(_action(draw, cast))
        if draw.chance():
            lines.append("show('predicted', model.predict(x, verbose=0))")
        if draw.chance(0.3):
            lines.append(_train(draw))
    lines += _ending(draw)
    return assemble(*lines)


def _ending(draw: Draw) -> list[str]:
    return [
        "show('predicted', model.predict(x, verbose=0))",
        _train(draw),
        "show('evaluated', model.evaluate(x, y, verbose=0))",
        "show_weights('weights', model)",
    ]


def _handed_over(draw: Draw) -> str:
    """Files of one process in another, on either library."""
    cast = users.cast(draw)
    lines = _opening(draw, cast)
    formats = ["keras", "keras", "weights", "shards"]
    if not cast.subclassed:
        formats += ["h5", "h5", "h5 weights", "json"]
    kind = draw.one(formats)
    fresh = f"{cast.source}\n{pieces.compilation(draw)}"
    load = "model = keras.models.load_model({!r}, custom_objects=known)"
    save, load = {
        "keras": ("model.save('m.keras')", load.format("m.keras")),
        "weights": (
            "model.save_weights('m.weights.h5')",
            f"{fresh}\nmodel.load_weights('m.weights.h5')",
        ),
        "shards": (
            "model.save_weights('m.weights.json', max_shard_size=0.0000003)",
            f"{fresh}\nmodel.load_weights('m.weights.json')",
        ),
        "h5": ("model.save('m.h5')", load.format("m.h5")),
        "h5 weights": ("model.save('m.h5')", f"{fresh}\nmodel.load_weights('m.h5')"),
        "json": (
            "open('m.json', 'w').write(model.to_json())\nmodel.save_weights('m.weights.h5')",
            "model = keras.models.model_from_json(open('m.json').read(), custom_objects=known)\n"
            f"model.load_weights('m.weights.h5')\n{pieces.compilation(draw)}",
        ),
    }[kind]
    looks = [
        "print(model.name, type(model).__name__, model.compiled)",
        "print([l.name for l in model.layers], [l.trainable for l in model.layers])",
        "print([w.path for w in model.weights],"
        " [keras.backend.standardize_dtype(w.dtype) for w in model.weights])",
        "print('config', as_json(model.get_config()))",
        "show_compiled(model.get_compile_config())",
        "show('optimizer', [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables])",
        "model.summary()",
    ]
    if draw.chance(0.3):
        lines.append(_freeze(draw, cast))
        lines.append(_train(draw))
    lines += [save, "show('predicted', model.predict(x, verbose=0))", HANDOVER]
    if cast.classes:
        lines.append(cast.classes)
    if "lambda" in cast.source:
        lines.append(_UNSAFE)
    lines += [f"known = {cast.known}", load, _data(cast, draw.whole(4, 6))]
    lines += draw.some(looks, 0, 3)
    lines += _ending(draw)
    # In bfloat16, targets are met to the bit, where the gradient of 'mae' jumps; normalizing two
    # units leaves gradients of rounding alone; and Keras's Adam rounds `beta_2` to one, by which no
    # weight ever moves.
    if draw.chance(0.15) and not re.search(r"Adam|loss='mae'|Normalization", "".join(lines)):
        lines.insert(0, "keras.config.set_dtype_policy('bfloat16')")
    return assemble(*lines)


def _lora(draw: Draw) -> str:
    """Low-rank and quantized layers, alone and in models."""
    inputs, layer, tail, outputs = draw.one(
        [
            ("(6,)", "layers.Dense(8{}, name='big')", "x = layers.Dense(2)(x)", (2,)),
            (
                "(4, 6)",
                "layers.EinsumDense('abc,cd->abd', output_shape=(None, 5){}, bias_axes='d',"
                " name='big')",
                "x = layers.Dense(2)(layers.GlobalAveragePooling1D()(x))",
                (2,),
            ),
            (
                "(4,), dtype='int32'",
                "layers.Embedding(10, 6, name='big')",
                "x = layers.Dense(2)(layers.Flatten()(x))",
                (2,),
            ),
            (
                "(6, 3)",
                "layers.Conv1D(4, 3{}, name='big')",
                "x = layers.GlobalMaxPooling1D()(x)",
                (4,),
            ),
            (
                "(5, 5, 2)",
                "layers.Conv2D(4, 3{}, name='big')",
                "x = layers.GlobalAveragePooling2D()(x)",
                (4,),
            ),
        ]
    )
    layer = layer.format(draw.one(["", ", activation='tanh'", ", use_bias=True"]))
    shape = eval(inputs.split(", dtype")[0])
    rows = draw.whole(4, 7)
    data = (
        f"x = whole(*{(rows, *shape)})" if "int32" in inputs else f"x = numbers(*{(rows, *shape)})"
    )
    lines = [
        f"inputs = keras.Input({inputs})\nx = {layer}(inputs)\n{tail}\n"
        "model = keras.Model(inputs, x)",
        f"{data}\ny = numbers(*{(rows, *outputs)}, seed=1)",
        pieces.compilation(draw),
    ]
    convolution = "Conv" in layer
    rank = draw.whole(1, 3)
    alpha = draw.one(["", "", f", lora_alpha={draw.one([2, 4])}"])
    adapt = f"model.get_layer('big').enable_lora({rank}{alpha})\n" + pieces.compilation(draw)
    mode = draw.one(["int8", "int8", "int4", "float8"])
    quantize = f"model.quantize({mode!r})\nmodel.compile('sgd', 'mse')"
    steps = draw.one(
        [
            [adapt],
            [adapt],
            [_train(draw), adapt],
            [] if convolution else [quantize],
            [adapt] if convolution else [quantize, adapt],
            [adapt] if convolution else [adapt, _train(draw), quantize],
        ]
    )
    lines += steps
    looks = [
        "print([(w.path, tuple(w.shape), keras.backend.standardize_dtype(w.dtype), w.trainable)"
        " for w in model.weights])",
        "print('config', as_json(model.get_layer('big').get_config()))",
        "print(model.count_params(), len(model.trainable_weights))",
        "model.summary()",
        "print(model.get_layer('big').dtype_policy.name, model.get_layer('big').quantization_mode)",
        "attempt('twice', lambda: model.get_layer('big').enable_lora(2))",
    ]
    if "enable_lora" not in "".join(steps):
        looks.pop()
    lines += draw.some(looks, 1, 3)
    lines.append("show('predicted', model.predict(x, verbose=0))")
    trains = "quantize" not in "".join(steps) or "enable_lora" in steps[-1]
    if trains:
        lines.append(_train(draw))
    known, cast = "known = {}", users.Cast("", "", shape, outputs)
    after = draw.one([_keras_file, _weight_file, _copies, _from_config, None])
    if after is _from_config and "quantize" not in "".join(steps):
        after = None  # the configs hold no adapters
    if after is _copies:
        adapted = all(word in "".join(steps) for word in ("quantize", "enable_lora"))
        lines += [known, _copies(draw, cast, adapted)]
    elif after:
        lines += [known, after(draw, cast)]
    lines.append("show('predicted', model.predict(x, verbose=0))")
    lines.append("show_weights('weights', model)")
    return assemble(*lines)


def _several(draw: Draw) -> str:
    """Models of several inputs and outputs, by dicts and lists; files and configs of those."""
    names = draw.shuffled(["left", "right", "a", "b1"])[:2]
    width = draw.whole(2, 4)
    keys = draw.one([names, [f"key_{n}" for n in names]])
    lines = [f"{n} = keras.Input(({width},), name={n!r})" for n in names]
    a, b = names
    lines.append(f"h = layers.Dense(3, activation='tanh', name='shared')\nx = h({a})\nz = h({b})")
    merged = draw.one(
        ["layers.Add()([x, z])", "layers.concatenate([x, z])", "x - z", "ops.maximum(x, z) + x"]
    )
    lines.append(f"m = {merged}")
    inputs = draw.one([f"[{a}, {b}]", f"({a}, {b})", f"{{{keys[0]!r}: {a}, {keys[1]!r}: {b}}}"])
    out = draw.one(
        [
            "layers.Dense(1, name='out')(m)",
            "[layers.Dense(1, name='out')(m), layers.Dense(2, name='more')(m)]",
            "{'out': layers.Dense(1, name='out')(m), 'second': layers.Dense(2, name='more')(m)}",
        ]
    )
    lines.append(f"model = keras.Model({inputs}, {out})")
    rows = draw.whole(3, 6)
    data = [f"numbers({rows}, {width}, seed={i})" for i in range(2)]
    if inputs[0] == "{":
        given = f"{{{keys[0]!r}: {data[0]}, {keys[1]!r}: {data[1]}}}"
    else:
        given = f"[{data[0]}, {data[1]}]"
    one, two = f"numbers({rows}, 1, seed=5)", f"numbers({rows}, 2, seed=6)"
    wanted = {
        "l": one,
        "[": f"[{one}, {two}]",
        "{": f"{{'out': {one}, 'second': {two}}}",
    }[out[0]]
    data_lines = f"x = {given}\ny = {wanted}"
    lines.append(data_lines)
    if out[0] == "{":
        losses = draw.one(["'mse'", "{'out': 'mse', 'second': 'mae'}"])
        weights = draw.one(["", ", loss_weights={'out': 0.5, 'second': 2.0}"])
    elif out[0] == "[":
        losses = draw.one(["'mse'", "['mse', 'mae']", "[keras.losses.Huber(), 'mse']"])
        weights = draw.one(["", ", loss_weights=[0.5, 1.0]"])
    else:
        losses, weights = "'mse'", draw.one(["", ", metrics=['mae']"])
    lines.append(f"model.compile({pieces.optimizer(draw)}, {losses}{weights})")
    lines.append("show('history', model.fit(x, y, batch_size=4, verbose=0).history)")
    looks = [
        "print('config', as_json(model.get_config()))",
        "print('shapes', model.input_shape, model.output_shape)",
        "print('build', as_json(model.get_build_config()))",
        "show_compiled(model.get_compile_config())",
        "model.summary()",
        "print([l.name for l in model.layers])",
    ]
    lines += draw.some(looks, 0, 2)
    path = draw.one(["m.keras", "m.keras", "m.h5"])
    lines.append(f"model.save('{path}')")
    if draw.chance():
        lines += [HANDOVER, data_lines]
    loaded = draw.one(
        [
            f"model = keras.models.load_model('{path}')",
            f"model = keras.models.load_model('{path}', compile=False)\n"
            f"model.compile('sgd', {losses}{weights})",
        ]
    )
    lines.append(loaded)
    if draw.chance(0.3):
        lines.append("model = copy.deepcopy(model)")
    lines += draw.some(looks, 1, 3)
    lines.append("show('predicted', model.predict(x, verbose=0))")
    lines.append("show('history', model.fit(x, y, batch_size=4, verbose=0).history)")
    lines.append("show_weights('weights', model)")
    return assemble(*lines)


def _resumed(draw: Draw) -> str:
    """Training that goes on where it was left."""
    cast = users.cast(draw)
    known = f", custom_objects={cast.known}"
    lines = _opening(draw, cast)
    checkpoint = draw.one(
        [
            "keras.callbacks.ModelCheckpoint('c.keras')",
            "keras.callbacks.ModelCheckpoint('c.weights.h5', save_weights_only=True)",
            "keras.callbacks.ModelCheckpoint('c{epoch}.keras', monitor='loss',"
            " save_best_only=True, verbose=1)",
            "keras.callbacks.BackupAndRestore('backup')",
        ]
    )
    lines.append(
        # In one order, losses that do not change are equal to the bit, and neither is the best.
        "done = model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False,"
        f" callbacks=[{checkpoint}])\n"
        "show('history', done.history)\nprint(sorted(os.listdir('.')))"
    )
    if "weights" in checkpoint:
        lines.append("model.load_weights('c.weights.h5')")
    elif "'c.keras'" in checkpoint:
        lines.append(f"model = keras.models.load_model('c.keras'{known})")
    lines.append(
        "more = model.fit(x, y, epochs=4, initial_epoch=2, batch_size=4, verbose=0)\n"
        "show('more', more.history)\nprint(more.epoch, int(model.optimizer.iterations))"
    )
    lines += _ending(draw)[2:]
    return assemble(*lines)


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one(
        [_life] * 5
        + [_handed_over] * 5
        + [_lora] * 2
        + [_several] * 2
        + [_resumed]
        + [objects.program] * 4
        + [habits.program] * 4
        + [further.program] * 4
        + [parts.program] * 4
    )
    return writer(draw)
