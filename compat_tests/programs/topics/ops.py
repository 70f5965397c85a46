"""Random expressions of `keras.ops`: eager, symbolic, in models, layers and files.

`_op_table` writes the call of any op, `_operands` its arrays, `_op_flow` what takes functions.
Calls stand within `tried`, so a refusal ends one call and not the program.
"""

from __future__ import annotations

from ..drawing import HANDOVER, Draw, assemble
from ._op_flow import flow
from ._op_numbers import UNARY
from ._op_table import CALLS, write
from ._operands import FLOATS, Call, Operand

__all__ = ["program"]

# What may be put around any array of floats, and any result.
_SMOOTH = ("tanh", "sigmoid", "sin", "arctan", "square", "abs", "negative", "relu", "softplus")
_OUTER = (
    "ops.tanh({})", "ops.square({})", "ops.abs({})", "{} * 2", "-{}", "{} + 1.5", "1 - {}",
    "ops.expand_dims({}, -1)", "ops.ravel({})", "ops.sum({})", "ops.mean({}, axis=-1)",
    "ops.cast({}, 'float32')", "{} / 2", "ops.reshape({}, (-1, 1))", "ops.flip({})",
    "ops.cumsum({}, axis=0)", "ops.max({}, axis=0)", "ops.stack([{}] * 2)", "({} > 0)", "{} ** 2",
    "({})[..., None]",
)  # fmt: skip
# Ops that no graph can hold, as they give no tensors or none whose shape is known.
_EAGER_ONLY = ("convert_to_numpy", "is_tensor", "shape", "ndim", "size", "dtype")


def program(draw: Draw) -> str:
    """Write a program."""
    bits = draw.one([16, 16, 32, 32, 32, 32, 32, 32, 64])
    sections = {
        _eager: 5, _symbolic: 3, _model: 4, _lambda: 2, _layer: 2, _operators: 2, _gradient: 2,
        flow: 2, _wrong: 2, _files: 2, _training: 1,
    }  # fmt: skip
    section = draw.one([section for section, weight in sections.items() for _ in range(weight)])
    return assemble(*section(draw, bits))


def _call(draw: Draw, bits: int, batched: bool = False, graph: bool = False) -> Call:
    while True:
        name = draw.one(list(CALLS))
        if graph and name in _EAGER_ONLY:
            continue
        call = write(draw, name, bits, batched)
        if call.operands or not graph:
            return call


def _outer(draw: Draw, call: Call, text: str, most: int = 2) -> str:
    """A call with other ops around it."""
    if call.single:
        for _ in range(draw.whole(0, most)):
            text = draw.one(_OUTER).format(text)
    return text


def _inner(draw: Draw, operand: Operand, name: str) -> str:
    """A float operand with ops around it that keep its shape."""
    plain = operand.source.startswith("numbers(") and "float" in operand.dtype
    if not plain:
        return name
    for _ in range(draw.one([0, 0, 1, 2])):
        name = f"ops.{draw.one(_SMOOTH)}({name})"
    return name


def _given(draw: Draw, operand: Operand) -> str:
    """An operand as users pass it: array, list, tensor of Keras or torch, variable."""
    source = operand.source
    if draw.chance(0.5):
        return source
    options = [f"ops.convert_to_tensor({source})"]
    if operand.dtype != "bfloat16":
        # NumPy has no way to torch for some dtypes of its scalars.
        options.append(f"torch.as_tensor({source})")
        options.append(f"{source}.tolist()")
    if operand.dtype not in ("bool",):
        trained = "" if "float" in operand.dtype else ", trainable=False"
        options.append(f"keras.Variable({source}, dtype={operand.dtype!r}{trained})")
    return draw.one(options)


def _eager(draw: Draw, bits: int) -> list[str]:
    lines = []
    for i in range(draw.whole(3, 7)):
        call = _call(draw, bits)
        names = [f"x{i}_{j}" for j in range(len(call.operands))]
        for name, operand in zip(names, call.operands, strict=True):
            lines.append(f"{name} = {_given(draw, operand)}")
        text = _outer(draw, call, call.on(*names))
        lines.append(f"tried({call.name!r}, lambda: {text})")
    return lines


# Ops that want certain sizes, which unknown ones are not found to have.
_KNOWN = ("fold", "view_as_complex", "view_as_real", "fft", "image.ssim", "reshape")


def _tensor(draw: Draw, operand: Operand, name: str) -> str:
    """A symbolic operand, some axes of unknown size."""
    unknown = 0.0 if name in _KNOWN else draw.one([0.0, 0.3, 0.6])
    shape = tuple(None if draw.chance(unknown) else size for size in operand.shape)
    return f"keras.KerasTensor({shape}, {operand.dtype!r})"


def _symbolic(draw: Draw, bits: int) -> list[str]:
    lines = []
    for i in range(draw.whole(3, 8)):
        call = _call(draw, bits, graph=True)
        names = [f"x{i}_{j}" for j in range(len(call.operands))]
        symbols = []
        for name, operand in zip(names, call.operands, strict=True):
            lines.append(f"{name} = {operand.source}")
            array = draw.chance(0.2) and name != names[0]
            symbols.append(name if array else _tensor(draw, operand, call.name))
        function = f"lambda {', '.join(names)}: {_outer(draw, call, call.on(*names))}"
        given = f"[{', '.join(symbols)}], [{', '.join(names)}]"
        lines.append(f"inferred({call.name!r}, {function}, {given})")
    return lines


def _inputs(draw: Draw, call: Call, lines: list[str]) -> tuple[list[str], list[str]]:
    """Inputs for the operands, constants for some; their arguments and the names of inputs."""
    names, inputs = [], []
    for i, operand in enumerate(call.operands):
        lines.append(f"x{i} = {operand.source}")
        batched = operand.shape and operand.shape[0] == call.operands[0].shape[0]
        if i and (not batched or draw.chance(0.3)):
            names.append(f"x{i}")
            continue
        size = None if draw.chance(0.7) else operand.shape[0]
        shape = (size, *operand.shape[1:])
        lines.append(f"in{i} = keras.Input(batch_shape={shape}, dtype={operand.dtype!r})")
        names.append(_inner(draw, operand, f"in{i}"))
        inputs.append(str(i))
    return names, inputs


def _graph(draw: Draw, bits: int) -> tuple[Call, list[str], list[str]]:
    """Statements that make a functional model of a call; which operands are its inputs."""
    while True:
        call = _call(draw, bits, batched=True, graph=True)
        if all(operand.shape for operand in call.operands[:1]):
            break
    # Names begin anew, also where a model before could not be made in one of the libraries.
    lines = ["keras.backend.clear_session()"]
    names, inputs = _inputs(draw, call, lines)
    lines.append(f"y = {_outer(draw, call, call.on(*names))}")
    ins = ", ".join(f"in{i}" for i in inputs)
    lines.append(
        f"model = keras.Model([{ins}], y)" if len(inputs) > 1 else f"model = keras.Model({ins}, y)"
    )
    return call, lines, inputs


def _data(inputs: list[str]) -> str:
    given = ", ".join(f"x{i}" for i in inputs)
    return f"[{given}]" if len(inputs) > 1 else given


def _function(name: str, lines: list[str]) -> str:
    return "\n".join([f"def {name}():", *(f"    {line}" for line in lines)])


def _model(draw: Draw, bits: int) -> list[str]:
    pieces = []
    for i in range(draw.whole(1, 3)):
        call, lines, inputs = _graph(draw, bits)
        data = _data(inputs)
        uses = [
            f"show('called', model({data}))",
            f"describe('output', model.output, model({data}))",
            "print([x.name for x in model.layers])",
            f"show('again', keras.Model.from_config(model.get_config())({data}))",
            f"show('copy', keras.models.clone_model(model)({data}))",
            "print(model.to_json())",
            "model.summary()",
            f"show('json', keras.models.model_from_json(model.to_json())({data}))",
        ]
        lines += draw.some(uses[1:], 0, 2)
        lines.append(f"return {uses[0][15:-1]}")
        pieces += [_function(f"case{i}", lines), f"tried({call.name!r}, case{i})"]
    return pieces


def _lambda(draw: Draw, bits: int) -> list[str]:
    pieces = []
    for i in range(draw.whole(1, 3)):
        call = _call(draw, bits, batched=True, graph=True)
        operand = call.operands[0]
        shape = operand.shape if len(call.operands) > 1 else (None, *operand.shape[1:])
        names = [f"x{j}" for j in range(len(call.operands))]
        lines = [f"{n} = {o.source}" for n, o in zip(names, call.operands, strict=True)]
        text = _outer(draw, call, call.on("t", *names[1:]))
        lines.append(f"layer = layers.Lambda(lambda t: {text})")
        lines.append(f"inputs = keras.Input(batch_shape={shape}, dtype={operand.dtype!r})")
        lines.append("y, real = layer(inputs), layer(x0)")
        lines.append(f"describe({call.name!r}, y, real)")
        lines.append("return [layer.name, real, keras.Model(inputs, y)(x0)]")
        if operand.shape:
            pieces += [_function(f"case{i}", lines), f"tried({call.name!r}, case{i})"]
    return pieces or ["print('none')"]


def _layer(draw: Draw, bits: int) -> list[str]:
    """A layer whose `call` is made of ops, called on data and on symbols, trained once."""
    call = _call(draw, bits, batched=True, graph=True)
    operand = call.operands[0]
    shape = operand.shape if len(call.operands) > 1 else (None, *operand.shape[1:])
    names = [f"x{j}" for j in range(len(call.operands))]
    lines = [f"{n} = {o.source}" for n, o in zip(names, call.operands, strict=True)]
    text = _outer(draw, call, call.on(_inner(draw, operand, "t"), *names[1:]))
    dtype = draw.one(["", "", ", dtype='float64'", ", autocast=False"])
    return [
        *lines,
        f"""
        class Mine(layers.Layer):
            def call(self, t):
                return {text}
        def eager():
            return Mine(name='mine'{dtype})(x0)
        def symbolic():
            inputs = keras.Input(batch_shape={shape}, dtype={operand.dtype!r})
            y = Mine(name='mine'{dtype})(inputs)
            result = keras.Model(inputs, y)(x0)
            describe({call.name + "-symbolic"!r}, y, result)
            return result
        tried({call.name + "-eager"!r}, eager)
        tried({call.name + "-symbolic"!r}, symbolic)
        """,
    ]


_OPERATORS = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {p}", "{a} // {p}", "{a} % {p}", "{p} ** 2",
    "2 ** {a}", "-{a}", "abs({a})", "{a} > {b}", "{a} < 1", "{a} >= {b}", "{a} <= 0.5",
    "{a}[1:]", "{a}[..., 0]", "{a}[:, -1:]", "{a}[None]", "{a}[:, ::2]", "{a} @ {m}",
    # An array beside a tensor is NumPy's under the runner, as it is in TensorFlow.
    "1.5 - {a}", "3 / {p}", "2 * {a}", "10 // {p}", "5 % {p}",
    "({a} > 0) & ({b} > 0)", "({a} > 0) | ({b} < 0)",
    "~({a} > 0)", "({a} > 0) ^ ({b} > 0)", "round({a})", "{a} == {b}", "{a} != 0", "{a}[0]",
    "({a} + {b}) * {a}", "-{a} ** 2", "{a} - {b} / {p}", "{a}[:, 1]", "{a}[:, [0, 2]]",
    "True + {a}", "{a} - 1", "{m} @ {m}", "len({a}.shape)", "{a}.T",
)  # fmt: skip


def _operators(draw: Draw, bits: int) -> list[str]:
    """Operators on tensors of Keras and on symbols."""
    dtypes = [draw.one([*FLOATS[bits], "int32", "uint8", "int16"]) for _ in range(3)]
    a, b, p = (f"np.abs(numbers(2, 3, seed={i})) * 3 + 1" for i in (1, 2, 3))
    pieces = [
        f"a = ops.cast({a}, {dtypes[0]!r})",
        f"b = ops.cast({b}, {dtypes[1]!r})",
        f"p = ops.cast({p}, {dtypes[2]!r})",
        f"m = ops.cast(np.abs(numbers(3, 3, seed=4)) * 3, {dtypes[0]!r})",
    ]
    for text in draw.some(_OPERATORS, 3, 7):
        name = draw.name("case")
        if draw.chance(0.7):
            lines = [
                f"ia, ib, ip = [keras.Input((3,), dtype=d) for d in {dtypes}]",
                f"y = {text.format(a='ia', b='ib', p='ip', m='m')}",
                "result = keras.Model([ia, ib, ip], y)([a, b, p])",
                f"describe({f'{name} {text}'!r}, y, result)",
                "return result",
            ]
        else:
            lines = [f"return {text.format(a='a', b='b', p='p', m='m')}"]
        pieces += [_function(name, lines), f"tried({f'{name} {text}'!r}, {name})"]
    return pieces


_DIFFERENTIABLE = (
    *sorted(
        {*UNARY["normal"], *UNARY["unit"], *UNARY["positive"]}
        - set("angle isreal signbit stop_gradient zeros_like ones_like nan_to_num".split())
    ),
    *(
        "add subtract multiply divide maximum minimum power logaddexp arctan2 hypot clip where sum"
        " mean std var prod max min amax logsumexp median cumsum cumprod softmax log_softmax"
        " sparsemax normalize norm average moments diff trapezoid glu sort top_k segment_sum"
        " segment_max reshape transpose squeeze pad concatenate stack take take_along_axis repeat"
        " tile broadcast_to roll matmul dot tensordot einsum outer kron cross conv depthwise_conv"
        " separable_conv conv_transpose max_pool average_pool adaptive_average_pool"
        " batch_normalization layer_normalization rms_normalization binary_crossentropy"
        " categorical_crossentropy sparse_categorical_crossentropy ctc_loss dot_product_attention"
        " fold unfold psnr cdist det inv solve cholesky eigh slogdet logdet image.resize"
        " image.affine_transform image.gaussian_blur image.map_coordinates image.extract_patches"
        " image.rgb_to_hsv image.rgb_to_grayscale image.ssim fft rfft irfft stft logaddexp2 mod"
        " fmod scatter_update slice_update quantile get_item slice select diag diagonal trace tril"
        " triu unstack split erfinv ldexp flip"
    ).split(),
)


def _gradient(draw: Draw, bits: int) -> list[str]:
    """Gradients of an op by torch."""
    pieces = []
    for i in range(draw.whole(1, 4)):
        call = write(draw, draw.one(_DIFFERENTIABLE), bits)
        if "float" not in call.operands[0].dtype:
            continue
        names = [f"x{j}" for j in range(len(call.operands))]
        lines = [f"{n} = {o.source}" for n, o in zip(names, call.operands, strict=True)]
        lines.append("x0 = ops.convert_to_tensor(x0).detach().clone().requires_grad_()")
        lines.append(f"y = {_outer(draw, call, call.on(*names), 1)}")
        lines.append("y = y[0] if isinstance(y, (list, tuple)) else y")
        # Squared, as the sum of a softmax is the same everywhere.
        lines.append("ops.sum(ops.cast(y, 'float32') ** 2).backward()")
        lines.append("return x0.grad")
        pieces += [_function(f"case{i}", lines), f"tried({call.name!r}, case{i})"]
    return pieces or ["print('none')"]


def _training(draw: Draw, bits: int) -> list[str]:
    """A model of dense layers and ops between them, fitted."""
    middle = draw.some(
        [
            "y = ops.relu(y) * 0.5",
            "y = ops.concatenate([y, inputs], axis=-1)",
            "y = y - ops.mean(y, axis=-1, keepdims=True)",
            "y = ops.softmax(y, axis=-1)",
            "y = y[:, :3] + 1",
            "y = ops.squeeze(ops.expand_dims(y, 1), 1)",
            # No two columns alike: their softmax would have gradients of roundings only.
            "y = ops.matmul(y, numbers(y.shape[-1], 4))",
            "y = ops.where(y > 0, y, ops.exp(y))",
            "y = ops.reshape(y, (-1, y.shape[-1]))",
            "y = ops.clip(y, -1, 1) ** 2",
            "y = ops.tanh(y) @ ops.transpose(numbers(3, y.shape[-1]))",
            "y = ops.layer_normalization(y)",
            "y = ops.stop_gradient(y) + y",
            "y = ops.einsum('bi->bi', y) / 2",
            "y = ops.stack([y, -y], axis=1)[:, 0]",
            "y = ops.sum(ops.split(y, [1], axis=-1)[1], axis=-1, keepdims=True)",
        ],
        1,
        4,
    )
    return [
        "inputs = keras.Input((4,))",
        "y = layers.Dense(5)(inputs)",
        *draw.shuffled(middle),
        "model = keras.Model(inputs, layers.Dense(1)(y))",
        f"model.compile({draw.one(['sgd', 'adam'])!r}, 'mse')",
        "x, t = numbers(8, 4), numbers(8, 1, seed=1)",
        "show('losses', model.fit(x, t, epochs=2, batch_size=4, verbose=0).history)",
        "show_weights('weights', model)",
        "print([x.name for x in model.layers])",
        "show('predicted', model.predict(x, verbose=0))",
    ]


def _files(draw: Draw, bits: int) -> list[str]:
    """A functional model of ops in a file."""
    call, lines, inputs = _graph(draw, bits)
    if any(operand.dtype == "bfloat16" for operand in call.operands):
        lines = [line.replace("'bfloat16'", "'float16'") for line in lines]
    form = draw.one(["keras", "keras", "keras", "h5"])
    data = [line for line in lines if line.startswith("x")]
    # Called first, so that a call that fails leaves no file on either side.
    save = [*lines, f"y = model({_data(inputs)})", f"model.save('model.{form}')", "return y"]
    load = [*data, f"model = keras.models.load_model('model.{form}')",
            "print([x.name for x in model.layers])",
            f"return model({_data(inputs)})"]  # fmt: skip
    return [
        _function("save", save),
        f"tried({call.name!r}, save)",
        HANDOVER,
        _function("load", load),
        f"tried({call.name!r}, load)",
    ]


def _wrong(draw: Draw, bits: int) -> list[str]:
    """Calls with a wrong axis, shape, dtype or argument."""
    x = draw.one(["numbers(2, 3)", "whole(2, 3)", "ops.ones((2, 3))", "keras.Input((3,))",
                  "keras.KerasTensor((2, 3))"])  # fmt: skip
    return [f"x = {x}"] + [
        f"tried({text!r}, lambda: ops.{text})" for text in draw.some(_WRONG, 3, 8)
    ]


_WRONG = (
    "sum(x, axis=5)", "mean(x, axis=-3)", "softmax(x, axis=4)", "concatenate([x, x[:1, :2]], 0)",
    "reshape(x, (4, 4))", "matmul(x, x)", "expand_dims(x, 5)", "squeeze(x, 1)", "stack([x, x[:1]])",
    "transpose(x, (0, 0))", "take(x, 7, axis=0)", "split(x, 2, axis=1)", "cast(x, 'nonsense')",
    "add(x, x[:, :2])", "max(x, axis=(0, 0))", "relu()", "sum(x, 0, True, 1)", "tanh(None)",
    "zeros('a')", "conv(x, x)", "sort(x, axis=3)", "argmax(x, axis=2)",
    "einsum('ij,jk->ik', x, x)", "einsum('ij', x, x)", "dot(x, x)", "broadcast_to(x, (2, 4))",
    "repeat(x, -1)", "tile(x, 'a')", "arange()", "eye(-1)", "cumsum(x, axis=9)", "flip(x, axis=4)",
    "convert_to_tensor('a')", "convert_to_tensor([[1], [1, 2]])", "where(x)", "moveaxis(x, 0, 5)",
    "swapaxes(x, 0, 3)", "top_k(x, 9)", "image.resize(x, (2, 2))", "clip(x, 1)", "diag(x, 'a')",
    "tril(x[0])", "norm(x, ord='bad')", "norm(x, ord='fro', axis=0)", "inv(x)", "cholesky(x)",
    "pad(x, ((1, 1), (1, 1), (1, 1)))", "pad(x, 1, mode='bad')", "roll(x, 1, axis=7)",
    "scatter_update(x, [[5, 5]], [1.0])", "slice(x, (0, 0, 0), (1, 1, 1))", "cross(x, x[:, :1])",
    "max_pool(x, 2)", "average_pool(x, 2, padding='bad')", "quantile(x, 2.0)",
    "batch_normalization(x, x, x, axis=7)", "tensordot(x, x, axes=3)", "median(x, axis=4)",
    "vstack([x, x[:, :2]])", "solve(x, x)", "digitize(x, 3)", "linspace(0, 1, -1)", "glu(x)",
    "categorical_crossentropy(x, x[:1])", "sparse_categorical_crossentropy(x, x)", "vdot(x, x[:1])",
    "binary_crossentropy(x, x[:, :2])", "multi_hot(x)", "bincount(x)", "in_top_k(x, x, 2)",
    "logical_and(x)", "ones((2, 'a'))", "full((2,))", "get_item(x, (0, 0, 0))", "trace(x[0])",
    "rot90(x[0])", "diagonal(x[0])", "fft(x)", "rfft(x, fft_length=0)", "segment_sum(x, x)",
    "take_along_axis(x, x, axis=4)", "logsumexp(x, axis=3)", "log_softmax(x, axis=3)",
    "normalize(x, axis=5)", "nonexistent(x)", "argsort(x, axis='a')", "sum(x, axis='a')",
    "hstack(x, x)", "unravel_index(9, (2, 2))", "array_split(x, 0)", "isin(x)", "outer(x)",
    "rearrange(x, 'a b c -> a')", "dot_product_attention(x, x, x)", "var(x, axis=2.5)",
    "layer_normalization(x, axis=5)", "searchsorted(x, x)", "meshgrid(x, indexing='aa')",
    "bitwise_and(x, 1.5)", "left_shift(x, 0.5)", "gcd(x, 2.5)", "svd(x[0])", "qr(x, mode='bad')",
    "extract_sequences(x, 9, 1)", "image.crop_images(x, 1, 1, 1, 1)", "image.rgb_to_hsv(x)",
    "depth_to_space(x, 2)", "kron(x)", "vectorized_map(ops.sum, 3)", "sqrt('a')", "sqrt({})",
    "maximum(x, 'a')", "equal(x, 'a')", "add(x, None)", "multiply([1, 'a'], 2)", "shape('a')",
)  # fmt: skip
