"""Subclasses of the library's layers, masks, structures, and state made late."""

from __future__ import annotations

from ..drawing import Draw, assemble

__all__ = ["special"]

_ENDS = (
    "show_weights('weights', layer)",
    "attempt('config', lambda: json.dumps(layer.get_config(), sort_keys=True))",
    "show('losses', layer.losses)",
    "attempt('again', lambda: type(layer).from_config(layer.get_config()).name)",
    "print('built', layer.built, layer.path)",
)


def _subclass(draw: Draw) -> str:
    base, arguments, shape = draw.one(
        [
            ("Dense", "3", (4,)),
            ("Conv1D", "2, 2", (5, 3)),
            ("Conv2D", "2, 2, padding='same'", (4, 4, 2)),
            ("LSTM", "2", (4, 3)),
            ("GRU", "2, return_sequences=True", (4, 3)),
            ("Embedding", "10, 3", (4,)),
            ("BatchNormalization", "", (3,)),
            ("LayerNormalization", "", (3,)),
            ("Dropout", "0.5", (3,)),
            ("MultiHeadAttention", "2, 3", (4, 3)),
        ]
    )
    lines = []
    own = draw.chance(0.6)
    head = "def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
    if own:
        head = (
            "def __init__(self, *args, gain=2.0, **kwargs):\n"
            "        super().__init__(*args, **kwargs)\n        self.gain = gain\n"
        )
    lines.append(head)
    seen = "query_shape, value_shape" if base == "MultiHeadAttention" else "input_shape"
    if draw.chance(0.6):
        weight = "self.extra = self.add_weight(shape=(), initializer='ones', name='extra')"
        order = draw.shuffled([weight, f"super().build({seen})"])
        part = "self.after = layers.Dense(2)" if draw.chance(0.3) else ""
        body = "\n        ".join(filter(None, [part, *order]))
        lines.append(f"def build(self, {seen}):\n        {body}\n")
        result = "* self.extra"
    else:
        result = "* 2.0"
    if own:
        result += " * self.gain"
    takes = draw.one(["x, **kwargs", "x, *args, **kwargs"])
    handed = takes
    if base in ("Dense", "Conv1D", "Conv2D", "Embedding", "LayerNormalization"):
        takes, handed = draw.one([("inputs", "inputs"), ("x, training=None", "x")])
    elif base in ("Dropout",):
        takes, handed = "x, training=None", "x, training=training"
    elif base == "MultiHeadAttention":
        takes, handed = "query, value, **kwargs", "query, value, **kwargs"
    elif base == "BatchNormalization":
        takes, handed = "x, training=None, mask=None", "x, training=training, mask=mask"
    else:
        takes = "x, initial_state=None, mask=None, training=None"
        handed = "x, initial_state=initial_state, mask=mask, training=training"
    lines.append(f"def call(self, {takes}):\n        return super().call({handed}) {result}\n")
    if own and draw.chance(0.7):
        lines.append(
            "def get_config(self):\n        return {**super().get_config(), 'gain': self.gain}\n"
        )
    source = f"class Mine(layers.{base}):\n    " + "\n    ".join(lines)
    given = [arguments] if arguments else []
    given += draw.some(["gain=0.5"] if own else [], 0, 1) + draw.some(["name='mine'"], 0, 1)
    x = f"numbers(2, {', '.join(map(str, shape))})"
    if base == "Embedding":
        x = f"whole(2, {shape[0]})"
    call = "layer(x, x)" if base == "MultiHeadAttention" else "layer(x)"
    symbolic = call.replace("x", "inputs")
    steps = [
        f"show('out', {call})",
        f"inputs = keras.Input({shape})\ny = {symbolic}\nprint('symbolic', y.shape)\n"
        "model = keras.Model(inputs, y)\nshow('predicted', model.predict(x, verbose=0))\n"
        "model.compile('sgd', 'mse')\n"
        "show('history', model.fit(x, ops.zeros_like(model(x)), verbose=0).history)",
        f"attempt('shape', lambda: layer.compute_output_shape({(None, *shape)}))",
    ]
    if base == "MultiHeadAttention":
        del steps[-1]
    return assemble(
        source,
        f"layer = Mine({', '.join(given)})",
        f"x = {x}",
        *draw.some(draw.shuffled(steps), 1, 3),
        # Ours is derived from the constructor, Keras's loses what the class adds.
        *draw.some(_ENDS if "def get_config" in source or not own else _ENDS[::2], 2, 3),
    )


def _wrapper(draw: Draw) -> str:
    """A subclass of `Wrapper`, or of `Layer` around another layer."""
    inner = draw.one(
        ["layers.Dense(3)", "layers.Dense(3, use_bias=False)", "layers.Activation('tanh')",
         "layers.BatchNormalization()", "keras.Sequential([layers.Dense(3), layers.ReLU()])"]
    )  # fmt: skip
    build = draw.one(
        ["", "def build(self, input_shape):\n        super().build(input_shape)",
         "def build(self, input_shape):\n        self.layer.build(input_shape)\n"
         "        self.built = True",
         "def build(self, input_shape):\n"
         "        self.scale = self.add_weight(shape=(), initializer='ones', name='scale')\n"
         "        super().build(input_shape)"]
    )  # fmt: skip
    result = "self.layer(x) * self.scale" if "scale" in build else "self.layer(x) + 1.0"
    return assemble(
        f"class Around(layers.Wrapper):\n    {build}\n"
        f"    def call(self, x, training=None):\n        return {result}",
        f"layer = Around({inner}{draw.one(['', ', name=' + repr('around')])})",
        "x = numbers(4, 3)",
        *draw.some(
            draw.shuffled(
                ["show('out', layer(x))", "print('symbolic', layer(keras.Input((3,))).shape)",
                 "show('trained', layer(x, training=True))",
                 "model = keras.Sequential([keras.Input((3,)), layer])\n"
                 "model.compile('sgd', 'mse')\n"
                 "show('history', model.fit(x, x[:, :3], batch_size=2, verbose=0).history)"]
            ), 1, 4
        ),
        *draw.some(_ENDS, 2, 5),
    )  # fmt: skip


def _late(draw: Draw) -> str:
    """State that is made in `call`, or after the layer was built."""
    guard = draw.one(["if self.part is None:", "if not hasattr(self, 'other'):"])
    name = "part" if "part" in guard else "other"
    made = draw.one(
        [f"self.{name} = layers.Dense(3)", f"self.{name} = [layers.Dense(3)]",
         f"self.{name} = self.add_weight(shape=(3, 3), initializer='ones', name='late')"]
    )  # fmt: skip
    used = {"[": f"self.{name}[0](x)", "a": f"x @ self.{name}"}
    use = used["a" if "add_weight" in made else "["] if "[" in made or "add_w" in made else ""
    build = draw.one(["", "    def build(self, input_shape):\n        self.built = True\n"])
    first = draw.one(["x", "keras.Input((3,))"])
    return assemble(
        "class Late(layers.Layer):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.part = None\n{build}"
        f"    def call(self, x):\n        {guard}\n            {made}\n"
        f"        return {use or f'self.{name}(x)'}",
        "x = numbers(2, 3)",
        "layer = Late()",
        f"attempt('first', lambda: layer({first}).shape)",
        "attempt('out', lambda: layer(x))",
        "show_weights('weights', layer)",
        draw.one(
            ["attempt('added', lambda: setattr(layer, 'more', layers.Dense(1)))",
             "attempt('added', lambda: setattr(layer, 'more', keras.Variable(1.0)))",
             "attempt('added', lambda: layer.add_weight(shape=(1,)).path)",
             "attempt('added', lambda: setattr(layer, 'more', [layers.Dense(1)]))"]
        ),
        "print('paths', [w.path for w in layer.weights])",
    )  # fmt: skip


def _masked(draw: Draw) -> str:
    """Layers that take, make and hand on masks."""
    supports = draw.chance(0.6)
    compute = draw.one(
        ["", "def compute_mask(self, inputs, mask=None):\n        return mask\n",
         "def compute_mask(self, inputs, mask=None):\n        return None\n",
         "def compute_mask(self, inputs, mask=None):\n"
         "        return ops.any(ops.not_equal(inputs, 0.0), axis=-1)\n",
         "def compute_mask(self, inputs, previous_mask):\n        return previous_mask\n"]
    )  # fmt: skip
    use = draw.one(
        ["return x * 2.0",
         "return x if mask is None else x * ops.cast(mask, x.dtype)[..., None]",
         "print('mask', mask is None)\n        return x + 1.0"]
    )  # fmt: skip
    before = draw.one(["layers.Masking()", "layers.Embedding(5, 3, mask_zero=True)", ""])
    data = "whole(2, 4, below=3)" if "Embed" in before else "numbers(2, 4, 3)"
    shape = "(4,)" if "Embed" in before else "(4, 3)"
    after = draw.one(["layers.LSTM(2)", "layers.GlobalAveragePooling1D()", "layers.Dense(2)"])
    parts = ", ".join(filter(None, [before, "Masked()", after]))
    return assemble(
        "class Masked(layers.Layer):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.supports_masking = {supports}\n    {compute}"
        f"    def call(self, x, mask=None):\n        {use}",
        f"x = {data}",
        "x[0, 2:] = 0" if draw.chance(0.8) else "",
        f"model = keras.Sequential([keras.Input({shape}), {parts}])"
        if draw.chance()
        else f"x_in = keras.Input({shape})\ny = x_in\nfor part in [{parts}]:\n    y = part(y)\n"
        "model = keras.Model(x_in, y)",
        "show('predicted', model.predict(x, verbose=0))",
        "show('called', model(x))",
        f"layer = Masked()\nshow('alone', layer({'model.layers[0](x)' if before else 'x'}))",
        "layer2 = Masked()",
        "show('given', layer2(numbers(2, 4, 3), mask=np.array([[True, True, False, False]] * 2)))",
    )  # fmt: skip


def _structured(draw: Draw) -> str:
    """Calls of several tensors, in and out."""
    outputs = draw.one(
        ["return a + b, a - b", "return [a + b, a - b]", "return {'sum': a + b, 'less': a - b}",
         "return a + b", "return (a, {'b': [b]})"]
    )  # fmt: skip
    style = draw.one(["dict", "list", "two", "keyword", "nested"])
    head, unpack, call = {
        "dict": ("self, inputs", "a, b = inputs['a'], inputs['b']", "{'a': A, 'b': B}"),
        "list": ("self, inputs", "a, b = inputs", "[A, B]"),
        "two": ("self, a, b", "pass", "A, B"),
        "keyword": ("self, a, *, b", "pass", "A, b=B"),
        "nested": ("self, inputs", "a, b = inputs['x'][0], inputs['x'][1]", "{'x': [A, B]}"),
    }[style]
    shapes = {
        "dict": ("input_shape", "input_shape['b']"), "list": ("input_shape", "input_shape[1]"),
        "two": ("a_shape, b_shape", "b_shape"), "keyword": ("a_shape, b_shape", "b_shape"),
        "nested": ("input_shape", "input_shape['x'][1]"),
    }[style]  # fmt: skip
    build = ""
    if draw.chance(0.7):
        build = (
            f"def build(self, {shapes[0]}):\n"
            f"        self.w = self.add_weight(shape=({shapes[1]}[-1],), name='w')\n"
            f"        print('build', {shapes[0].replace('a_shape', 'tuple(a_shape)')})\n    "
        )
        unpack += "\n        b = b * self.w"
    shape = ""
    if draw.chance(0.2) and outputs == "return a + b":
        shape = (
            f"    def compute_output_shape(self, {shapes[0]}):\n        return tuple({shapes[1]})\n"
        )
    real = call.replace("A", "p").replace("B", "q")
    symbolic = call.replace("A", "i").replace("B", "j")
    steps = [
        f"show('out', layer({real}))",
        "i, j = keras.Input((3,)), keras.Input((3,))\n"
        f"y = layer({symbolic})\nmodel = keras.Model([i, j], y)\n"
        "show('predicted', model.predict([p, q], verbose=0))\n"
        "print('shape', model.output_shape, model.output_names)",
    ]
    return assemble(
        f"class Several(layers.Layer):\n    {build}def call({head}):\n        {unpack}\n"
        f"        {outputs}\n{shape}",
        "layer = Several()",
        "p, q = numbers(2, 3), numbers(2, 3, seed=1)",
        *draw.some(draw.shuffled(steps), 1, 2),
        "show_weights('weights', layer)",
        "attempt('build config', lambda: json.dumps(layer.get_build_config()))",
        *draw.some(_ENDS, 0, 2),
    )


def special(draw: Draw) -> str:
    """Write a program of one of these kinds."""
    return draw.one([_subclass, _subclass, _wrapper, _late, _masked, _structured])(draw)
