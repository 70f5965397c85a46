"""Sources of data: statements that make a variable `data`, and what stands beside it in a call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..drawing import Draw

__all__ = [
    "SOURCES",
    "Form",
    "Source",
    "form",
    "generator",
    "model",
    "py_dataset",
    "source",
    "with_workers",
]

_FLOATS = ("float32", "float32", "float64", "float16")
# Keras on torch trains from unsigned 16 and 32 bits as from their signed neighbours.
_DTYPES = (*_FLOATS, "int8", "int16", "int32", "int64", "uint8", "bool", "uint16")


@dataclass(frozen=True)
class Form:
    """What a batch holds.

    Args:
        inputs: How the inputs stand together, as source with the arrays `a` and `b` in it.
        targets: Likewise for the targets `y` and `z`; empty for none.
        weights: Likewise for the weights `w`; empty for none.
        arrays: Statements that make the arrays, of `rows` rows.
        rows: How many there are.
    """

    inputs: str
    targets: str
    weights: str
    arrays: str
    rows: int

    @property
    def parts(self) -> tuple[str, ...]:
        """Inputs, targets and weights, as far as there are any."""
        return tuple(part for part in (self.inputs, self.targets, self.weights) if part)


@dataclass(frozen=True)
class Source:
    """Data in source.

    Args:
        source: Statements that make `data`, anew where a pass uses it up.
        arguments: How a call takes it, as `data` or `x, y`.
        batched: Whether it yields batches, and a call takes no `batch_size`.
        steps: Whether a call has to say how many steps there are.
    """

    source: str
    arguments: str = "data"
    batched: bool = True
    steps: bool = False


def _array(draw: Draw, rows: int, seed: int) -> str:
    dtype = draw.one(_DTYPES) if draw.chance(0.5) else "float32"
    maker = "numbers" if dtype in _FLOATS else "whole"
    return f"{maker}({rows}, 3, seed={seed}).astype('{dtype}')"


def form(draw: Draw, targets: bool | None = None) -> Form:
    """What a batch holds; with targets or without, where that is said."""
    rows = draw.whole(3, 9)
    inputs = draw.one(
        ["a", "a", "a", "(a,)", "[a]", "(a, b)", "[a, b]", "{'a': a, 'b': b}", "{'a': a}",
         "{'b': b, 'a': a}", "{'a': a, 'c': (b,)}"]
    )  # fmt: skip
    targets = draw.chance(0.8) if targets is None else targets
    goal = draw.one(["y", "y", "y", "(y, z)", "{'y': y, 'z': z}", "[y, z]"]) if targets else ""
    weights = "w" if goal == "y" and draw.chance(0.35) else ""
    lines = [f"a = {_array(draw, rows, 1)}"]
    if "b" in inputs.replace("'b'", ""):
        lines.append(f"b = {_array(draw, rows, 2)}")
    if goal:
        lines.append(
            draw.one(
                [
                    f"y = numbers({rows}, 2, seed=3)",
                    f"y = numbers({rows}, 2, seed=3).astype('float64')",
                    f"y = whole({rows}, 2, below=3, seed=3)",
                ]
            )
        )
    if "z" in goal:
        lines.append(f"z = numbers({rows}, 1, seed=4)")
    if weights:
        lines.append(f"w = np.linspace(0.5, 2.0, {rows}{draw.one(['', ', dtype=np.float32'])})")
    return Form(inputs, goal, weights, "\n".join(lines), rows)


def model(draw: Draw, form: Form) -> str:
    """A model for such batches that prints what its steps are handed."""
    lines = ["a, b = keras.Input((3,), name='a'), keras.Input((3,), name='b')"]
    inputs = form.inputs.replace("(a,)", draw.one(["a", "(a,)"])).replace("[a]", "a")
    both = "b" in inputs.replace("'b'", "")
    lines.append("h = layers.Dense(4)(a)")
    if both:
        lines.append("h = layers.concatenate([h, layers.Dense(2)(b)])")
    first, second = "layers.Dense(2, name='y')(h)", "layers.Dense(1, name='z')(h)"
    outputs = form.targets or "y"
    lines += [f"y = {first}"] + ([f"z = {second}"] if "z" in outputs else [])
    steps = draw.some(["train", "test", "predict"], 2)
    body = "\n".join(
        f"    def {step}_step(self, data):\n        look('{step}', data)\n"
        f"        return super().{step}_step(data)"
        for step in steps
    )
    lines.append(f"class Watched(keras.Model):\n{body}")
    lines.append(f"model = Watched({inputs}, {outputs})")
    loss = draw.one(["'mse'", "'mae'", "keras.losses.Huber()"])
    extra = ""
    if outputs == "y":
        extra = draw.one(["", ", metrics=['mae']", ", weighted_metrics=['mae']"])
    # With inputs up to 10 and the usual learning rate, training would diverge.
    lines.append(f"model.compile(keras.optimizers.SGD(0.001), {loss}{extra})")
    return "\n".join(lines)


def _tuple(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _arrays(draw: Draw, form: Form) -> Source:
    change = draw.one(["", "", "", "torch.from_numpy(v)", "keras.ops.convert_to_tensor(v)"])
    lines = ""
    if change:
        kept = [n for n in "abyzw" if f"\n{n} = " in f"\n{form.arrays}"]
        lines = "\n".join(f"{n} = {change.replace('v', n)}" for n in draw.some(kept, 1))
    keywords = ("", "y=", "sample_weight=") if draw.chance(0.3) else ("", "", "sample_weight=")
    values = ", ".join(k + p for k, p in zip(keywords, form.parts, strict=False))
    return Source(lines, values, batched=False)


def _tf(draw: Draw, form: Form) -> Source:
    # tf.data makes tensors of lists, not structures.
    whole = _tuple(form.parts).replace("[", "(").replace("]", ",)").replace(",,)", ",)")
    if draw.chance(0.2) and len(form.parts) == 1:
        whole = f"({whole},)"
    calls = []
    size = draw.whole(1, 4)
    if draw.chance(0.2):
        calls.append(".cache()")
    if draw.chance(0.2):
        calls.append(f".take({form.rows - 1})")
    if draw.chance(0.2):
        calls.append(".skip(1)")
    if draw.chance(0.3):
        drawn = draw.one([f".batch({size}, drop_remainder=True)", f".padded_batch({size})"])
        calls.append(drawn if form.rows > size + 2 else f".batch({size})")
    else:
        calls.append(f".batch({size})")
    if draw.chance(0.3):
        calls.append(draw.one([".map(lambda *e: e if len(e) > 1 else e[0])", ".map(lambda *e: e)"]))
    endless = draw.chance(0.2)
    if endless:
        calls.append(".repeat()")
    elif draw.chance(0.15):
        calls.append(".repeat(2)")
    if draw.chance(0.4):
        calls.append(draw.one([".prefetch(2)", ".prefetch(tf.data.AUTOTUNE)"]))
    text = f"data = tf.data.Dataset.from_tensor_slices({whole}){''.join(calls)}"
    if draw.chance(0.3):
        text += "\nprint('cardinality', int(data.cardinality()))"
        text += "\nfor element in data.take(1):\n    look_at('element', element)"
    return Source(text, steps=endless)


def _loader(draw: Draw, form: Form) -> Source:
    size = draw.whole(1, 4)
    options = f"batch_size={size}{draw.one(['', '', ', drop_last=True'])}"
    if form.rows < size:
        options = f"batch_size={size}"
    if draw.chance(0.2):
        options += ", shuffle=True, generator=torch.Generator().manual_seed(1)"
    parts = _tuple(form.parts)
    plain = all(part in ("a", "y", "w", "(a,)") for part in form.parts)
    if plain and draw.chance(0.5):
        tensors = ", ".join(f"torch.from_numpy({p.strip('(),')})" for p in form.parts)
        text = f"rows = torch.utils.data.TensorDataset({tensors})"
    else:
        text = (
            "class Rows(torch.utils.data.Dataset):\n"
            f"    def __len__(self):\n        return {form.rows}\n"
            "    def __getitem__(self, i):\n"
            f"        return keras.tree.map_structure(lambda v: v[i], {parts})\n"
            "rows = Rows()"
        )
    return Source(f"{text}\ndata = torch.utils.data.DataLoader(rows, {options})")


def _slices(form: Form, start: str, size: int) -> str:
    parts = _tuple(form.parts)
    return f"keras.tree.map_structure(lambda v: v[{start}:{start} + {size}], {parts})"


def generator(draw: Draw, form: Form, endless: bool | None = None) -> Source:
    size = draw.whole(1, 4)
    endless = draw.chance(0.4) if endless is None else endless
    body = f"for i in range(0, {form.rows}, {size}):\n        yield {_slices(form, 'i', size)}"
    if endless:
        body = "while True:\n        " + body.replace("\n", "\n    ")
    return Source(f"def batches():\n    {body}", "batches()", steps=endless)


def py_dataset(draw: Draw, form: Form) -> Source:
    size = draw.whole(1, 4)
    count = -(-form.rows // size)
    ends = ""
    if draw.chance(0.3):
        ends = "\n    def on_epoch_end(self):\n        print('an epoch ends')"
    return Source(
        "class Batches(keras.utils.PyDataset):\n"
        f"    def __len__(self):\n        return {count}\n"
        "    def __getitem__(self, index):\n"
        f"        i = index * {size}\n"
        f"        return {_slices(form, 'i', size)}{ends}\n"
        "data = Batches()"
    )


def with_workers(draw: Draw, source: Source) -> Source:
    """The same source, where it is a `PyDataset` with two workers."""
    options = draw.one(["workers=2", "workers=2, max_queue_size=3"])
    return replace(source, source=source.source.replace("Batches()", f"Batches({options})"))


def _pandas(draw: Draw, form: Form) -> Source:
    if form.inputs != "a" or form.targets not in ("", "y"):
        return _arrays(draw, form)
    lines = ["a = pd.DataFrame(a, columns=['p', 'q', 'r'])"]
    if form.targets and draw.chance():
        lines.append(draw.one(["y = pd.DataFrame(y)", "y = pd.DataFrame(y, columns=['s', 't'])"]))
    if form.weights and draw.chance():
        lines.append("w = pd.Series(w)")
    if draw.chance(0.3):
        lines.append("a['p'] = a['p'].astype('float64')")
    if draw.chance(0.2):
        lines.append("a = a.iloc[::-1]")
    values = ", ".join(k + p for k, p in zip(("", "", "sample_weight="), form.parts, strict=False))
    return Source("\n".join(lines), values, batched=False)


def _hugging_face(draw: Draw, form: Form) -> Source:
    names = [n for n in "abyzw" if f"\n{n} = " in f"\n{form.arrays}"]
    columns = ", ".join(f"'{n}': {n}" for n in names)
    kind = draw.one(["torch", "torch", "numpy"])
    parts = _tuple(form.parts)
    for n in names:  # columns of a batch, whose arrays have the same names
        parts = parts.replace(f"'{n}'", f"'{n.upper()}'")
    for n in names:
        parts = "".join(
            f"row['{c}']" if c == n and not _within(parts, i) else c for i, c in enumerate(parts)
        )
    parts = parts.replace("'A'", "'a'").replace("'B'", "'b'").replace("'Y'", "'y'")
    parts = parts.replace("'Z'", "'z'").replace("'C'", "'c'")
    size = draw.whole(1, 4)
    return Source(
        "import datasets\n"
        f"table = datasets.Dataset.from_dict({{{columns}}}).with_format('{kind}')\n"
        "class Rows(torch.utils.data.Dataset):\n"
        "    def __len__(self):\n        return len(table)\n"
        "    def __getitem__(self, i):\n"
        f"        row = table[i]\n        return {parts}\n"
        f"data = torch.utils.data.DataLoader(Rows(), batch_size={size})"
    )


def _within(text: str, i: int) -> bool:
    """Whether a place lies in a word."""
    around = text[max(0, i - 1) : i] + text[i + 1 : i + 2]
    return any(c.isalnum() or c == "'" for c in around)


SOURCES = {
    "arrays": _arrays,
    "tf": _tf,
    "loader": _loader,
    "generator": generator,
    "py_dataset": py_dataset,
    "pandas": _pandas,
    "hugging_face": _hugging_face,
}


def source(draw: Draw, form: Form) -> Source:
    """Some source of such batches."""
    kinds = ["arrays"] * 3 + ["tf"] * 3 + ["loader", "generator", "py_dataset"] * 2
    return SOURCES[draw.one([*kinds, "pandas", "hugging_face"])](draw, form)
