"""Translators of layers over time: recurrent ones, `Bidirectional`, and attention.

`nn.LSTM`, `nn.GRU` and `nn.RNN` order their gates `i f g o` and `r z n`; Keras `i f c o` and
`z r h`. What they cannot do (other activations, the reset gate before the product, recurrent
dropout) a loop over the steps does, with the same names of weights. Masks are packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...activations import relu, sigmoid, tanh
from ...layers import (
    RNN,
    AdditiveAttention,
    Attention,
    Bidirectional,
    GroupedQueryAttention,
    GRUCell,
    LSTMCell,
    Masking,
    MultiHeadAttention,
    SimpleRNNCell,
)
from . import helpers
from .functions import activation_expression
from .layers import floating
from .source import ClassWriter, Value, refuse, spelled
from .translate import translates

__all__: list[str] = []

_KINDS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


# Recurrent ---------------------------------------------------------------------------------------


def _gates(weight: torch.Tensor) -> torch.Tensor:
    """Reorder a GRU's gates along the first axis, from Keras's `z r h` to torch's `r z n`."""
    z, r, h = weight.chunk(3, 0)
    return torch.cat([r, z, h])


def _weights(cell: Any) -> dict[str, Any]:
    """Return a cell's weights in the layout, and by the names, of `nn.LSTMCell` and its like."""
    state = {"weight_ih": cell.kernel.t(), "weight_hh": cell.recurrent_kernel.t()}
    bias = cell.bias
    if bias is not None:
        both = tuple(bias) if bias.dim() == 2 else (bias, torch.zeros_like(bias))
        state["bias_ih"], state["bias_hh"] = both
    if isinstance(cell, GRUCell):
        state = {name: _gates(weight) for name, weight in state.items()}
    return state


def _fits_torch(layer: Any) -> bool:
    """Whether torch's kernel computes a layer."""
    cell = layer.cell
    if cell.recurrent_dropout:
        return False
    if isinstance(cell, SimpleRNNCell):
        return _is(cell.activation, tanh, torch.tanh, relu, torch.relu)
    plain = _is(cell.activation, tanh, torch.tanh)
    plain = plain and _is(cell.recurrent_activation, sigmoid, torch.sigmoid)
    return plain and getattr(cell, "reset_after", True)


def _is(function: Any, *known: Any) -> bool:
    return any(function is item for item in known)


def _check(layer: Any) -> None:
    if layer.stateful:
        raise refuse(
            layer,
            "it keeps its state between calls (`stateful=True`)",
            "make it with `return_state=True`, and pass the state as `initial_state`.",
        )
    known = (LSTMCell, GRUCell, SimpleRNNCell)
    if type(layer.cell) not in known:
        raise refuse(
            layer,
            f"its cell is a {type(layer.cell).__name__}",
            "use `LSTM`, `GRU` or `SimpleRNN`, one after the other.",
        )


def _kind(layer: Any) -> str:
    cell = layer.cell
    return {LSTMCell: "LSTM", GRUCell: "GRU", SimpleRNNCell: "RNN"}[type(cell)]


def _module(writer: ClassWriter, layer: Any, width: int) -> tuple[str, bool]:
    """Hold the module of a recurrent layer; tell whether it is torch's own."""
    cell, kind = layer.cell, _kind(layer)
    state, bias = _weights(cell), cell.bias is not None
    if _fits_torch(layer):
        extra = "" if bias else ", bias=False"
        if kind == "RNN" and _is(cell.activation, relu, torch.relu):
            extra += ', nonlinearity="relu"'
        text = f"nn.{kind}({width}, {cell.units}, batch_first=True{extra})"
        return writer.module(layer, text, {f"{k}_l0": v for k, v in state.items()}), True
    name = writer.helper(helpers.RecurrentLoop)
    kinds = {"LSTM": "lstm", "RNN": "rnn", "GRU": "gru"}
    loop = kinds[kind] + ("" if getattr(cell, "reset_after", True) else "_before")
    texts = [spelled(loop), str(width), str(cell.units), f"bias={bias}"]
    for key in ("activation", "recurrent_activation")[: 1 if kind == "RNN" else 2]:
        function = _as_function(writer, layer, getattr(cell, key))
        texts.append(f"{'gate' if key.startswith('recurrent') else key}={function}")
    if cell.recurrent_dropout:
        texts.append(f"dropout={spelled(cell.recurrent_dropout)}")
    frozen = []
    if bias and (cell.bias.dim() == 1):
        frozen = ["bias_hh"]
    return writer.module(layer, f"{name}({', '.join(texts)})", state, frozen=frozen), False


def _as_function(writer: ClassWriter, layer: Any, activation: Any) -> str:
    """Return an activation as an expression for a function."""
    text = activation_expression(writer, activation, "x")
    if text is None:
        name = getattr(activation, "__name__", activation)
        raise refuse(
            layer, f"its activation {name!r} is a Python function", "use one of Keras's names."
        )
    return text.removesuffix("(x)") if text.endswith("(x)") else f"lambda x: {text}"


def _run(
    writer: ClassWriter,
    module: str,
    own: bool,
    x: Value,
    mask: Value | None,
    state: str,
    lstm: bool,
    units: int,
    zero_output: bool = False,
) -> tuple[Value, list[Value]]:
    """Write the call of a recurrent module; return all outputs, and the final states."""
    y = writer.value((*x.shape[:2], units), x.dtype)
    states = [
        writer.value((None, x.shape[0], units), x.dtype, base=base)
        for base in (("h", "c") if lstm else ("h",))
    ]
    targets = f"{y}, ({states[0]}, {states[1]})" if lstm else f"{y}, {states[0]}"
    zero = ", zero_output=True" if zero_output else ""
    if mask is None:
        call = f"{module}({x}{', ' + state if state else ''})"
    elif own:
        name = writer.helper(helpers.run_masked)
        call = f"{name}({module}, {x}, {mask}{', ' + state if state else ''}{zero})"
    else:
        call = f"{module}({x}, {state or 'None'}, {mask}{zero})"
    writer.assign(targets, call)
    return y, states


def _state_argument(layer: Any, initial: Sequence[Value] | None) -> str:
    if initial is None:
        return ""
    states = [f"{x}.unsqueeze(0)" for x in initial]
    return states[0] if len(states) == 1 else f"({', '.join(states)})"


def _input_dropout(writer: ClassWriter, layer: Any, x: Value, part: str = "dropout") -> Value:
    """Write the dropout of input features, the same ones at all steps."""
    rate = layer.cell.dropout
    if not rate:
        return x
    module = writer.module(layer, f"nn.Dropout1d({spelled(rate)})", part=part)
    return writer.emit(f"{module}({x}.transpose(1, 2)).transpose(1, 2)", x)


@translates(RNN)
def _rnn(
    writer: ClassWriter,
    layer: Any,
    x: Value,
    initial_state: Any = None,
    mask: Value | None = None,
) -> Any:
    _check(layer)
    initial = None if initial_state is None else _as_list(initial_state)
    mask = mask or x.mask
    passed = mask
    x = writer.plain(floating(writer, layer, x))
    if layer.go_backwards:
        x = writer.emit(f"{x}.flip(1)", x)
        mask = None if mask is None else writer.emit(f"{mask}.flip(1)", mask, base="mask")
    module, own = _module(writer, layer, x.shape[-1])
    x = _input_dropout(writer, layer, x)
    units, lstm = layer.cell.units, _kind(layer) == "LSTM"
    state = _state_argument(layer, initial)
    zero = bool(layer.zero_output_for_mask)
    y, states = _run(writer, module, own, x, mask, state, lstm, units, zero)
    output = y
    if not layer.return_sequences:
        output = writer.emit(f"{y}[:, -1]", y, shape=(y.shape[0], units))
    elif passed is not None:
        y.mask = passed
    if not layer.return_state:
        return output
    finals = [writer.emit(f"{s}[0]", s, shape=(x.shape[0], units), base=s.base) for s in states]
    return [output, *finals]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@translates(Bidirectional)
def _bidirectional(
    writer: ClassWriter,
    layer: Any,
    x: Value,
    initial_state: Any = None,
    mask: Value | None = None,
) -> Any:
    forward, backward = layer.forward_layer, layer.backward_layer
    for part in (forward, backward):
        if not isinstance(part, RNN):
            raise refuse(layer, f"it wraps a {type(part).__name__}", "wrap a recurrent layer.")
        _check(part)
    mask = mask or x.mask
    x = writer.plain(floating(writer, layer, x))
    initial = None if initial_state is None else _as_list(initial_state)
    alike = (
        layer._may_fuse
        and _fits_torch(forward)
        and _fits_torch(backward)
        and forward.cell.activation is backward.cell.activation
    )
    both = _both_at_once if alike else _one_by_one
    y, y_back, finals = both(writer, layer, x, mask, initial)
    if y_back is None:
        output = y
    else:
        output = _merge(writer, layer.merge_mode, y, y_back)
    if layer.return_sequences and mask is not None:
        for value in _as_list(output):
            value.mask = mask
    states = finals if layer.return_state else []
    if isinstance(output, list):
        return [*output, *states]
    return [output, *states] if states else output


def _both_at_once(
    writer: ClassWriter, layer: Any, x: Value, mask: Value | None, initial: Any
) -> tuple[Value, Value | None, list[Value]]:
    """Write both directions as one module of torch's."""
    forward, backward = layer.forward_layer, layer.backward_layer
    kind, cell = _kind(forward), forward.cell
    units, lstm = cell.units, kind == "LSTM"
    state = {f"{k}_l0": v for k, v in _weights(cell).items()}
    state |= {f"{k}_l0_reverse": v for k, v in _weights(backward.cell).items()}
    extra = "" if cell.bias is not None else ", bias=False"
    if kind == "RNN" and _is(cell.activation, relu, torch.relu):
        extra += ', nonlinearity="relu"'
    text = f"nn.{kind}({x.shape[-1]}, {units}, batch_first=True, bidirectional=True{extra})"
    module = writer.module(layer, text, state)
    given = ""
    if initial is not None:
        half = len(initial) // 2
        pairs = [
            f"torch.stack(({a}, {b}))" for a, b in zip(initial[:half], initial[half:], strict=True)
        ]
        given = pairs[0] if half == 1 else f"({', '.join(pairs)})"
    y, states = _run(writer, module, True, x, mask, given, lstm, 2 * units, zero_output=True)
    shape = (x.shape[0], units)
    finals = [writer.emit(f"{s}[{i}]", s, shape=shape, base=s.base) for i in (0, 1) for s in states]
    if layer.return_sequences:
        if layer.merge_mode == "concat":
            return y, None, finals
        halves = [writer.value((*y.shape[:2], units), y.dtype) for _ in range(2)]
        writer.assign(", ".join(map(str, halves)), f"{y}.chunk(2, -1)")
        return halves[0], halves[1], finals
    return finals[0], finals[len(states)], finals


def _one_by_one(
    writer: ClassWriter, layer: Any, x: Value, mask: Value | None, initial: Any
) -> tuple[Value, Value, list[Value]]:
    """Write the two directions as a module each."""
    results, finals = [], []
    x.mask = mask
    half = 0 if initial is None else len(initial) // 2
    given = (initial[:half], initial[half:]) if initial is not None else (None, None)
    for part, state in zip((layer.forward_layer, layer.backward_layer), given, strict=True):
        output = _rnn(writer, part, x, state, mask)
        y, *states = output if isinstance(output, list) else [output]
        results.append(y)
        finals += states
    y, y_back = results
    if layer.return_sequences:
        y_back = writer.emit(f"{y_back}.flip(1)", y_back)
    return y, y_back, finals


def _merge(writer: ClassWriter, mode: str | None, a: Value, b: Value) -> Any:
    if mode is None:
        return [a, b]
    if mode == "concat":
        shape = (*a.shape[:-1], 2 * a.shape[-1])
        return writer.emit(f"torch.cat(({a}, {b}), dim=-1)", a, shape=shape)
    texts = {"sum": f"{a} + {b}", "mul": f"{a} * {b}", "ave": f"({a} + {b}) / 2"}
    return writer.emit(texts[mode], a)


@translates(Masking)
def _masking(writer: ClassWriter, layer: Any, x: Value) -> Value:
    x = writer.plain(x)
    value = layer.mask_value
    if not isinstance(value, (int, float)):
        raise refuse(layer, "its `mask_value` is no number", "use a number.")
    mask = writer.emit(
        f"({x} != {spelled(value)}).any(-1)", x, shape=x.shape[:-1], dtype="bool", base="mask"
    )
    y = writer.emit(f"torch.where({mask}.unsqueeze(-1), {x}, 0)", x)
    y.mask = mask
    return y


# Attention ---------------------------------------------------------------------------------------


def _joint_mask(
    writer: ClassWriter,
    query_mask: Value | None,
    value_mask: Value | None,
    key_mask: Value | None,
    attention_mask: Value | None,
) -> Value | None:
    """Write the conjunction of masks, broadcast to `(B, T, S)`."""
    texts = [] if attention_mask is None else [_boolean(writer, attention_mask)]
    texts += [] if query_mask is None else [f"{query_mask}.unsqueeze(-1)"]
    texts += [f"{m}.unsqueeze(-2)" for m in (value_mask, key_mask) if m is not None]
    if not texts:
        return None
    like = next(m for m in (attention_mask, value_mask, key_mask, query_mask) if m is not None)
    return writer.emit(" & ".join(texts), like, base="mask", dtype="bool")


def _boolean(writer: ClassWriter, mask: Value) -> str:
    return str(writer.cast(writer.plain(mask), "bool"))


@translates(MultiHeadAttention, GroupedQueryAttention)
def _projected_attention(
    writer: ClassWriter,
    layer: Any,
    query: Value,
    value: Value,
    key: Value | None = None,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
    attention_mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    grouped = isinstance(layer, GroupedQueryAttention)
    if query.rank != 3 or value.rank != 3:
        raise refuse(layer, "it attends over several axes", "reshape them to one axis before it.")
    query_mask = query_mask or query.mask
    value_mask = value_mask or value.mask
    key_mask = key_mask or (None if key is None else key.mask)
    key = value if key is None else key
    q, k, v = (writer.plain(floating(writer, layer, x)) for x in (query, key, value))
    mask = _joint_mask(writer, query_mask, value_mask, key_mask, attention_mask)
    sizes = _attention_sizes(layer, grouped)
    window = layer._sliding_window
    shape = (*query.shape[:-1], sizes["output"])
    embed = q.shape[-1]
    standard = (
        not grouped
        and not layer._use_gate
        and window is None
        and mask is None
        and sizes["heads"] * sizes["head"] == embed == sizes["output"]
        and sizes["head"] == sizes["value_head"]
    )
    if standard:
        call = _torch_attention(writer, layer, q, k, v, use_causal_mask, return_attention_scores)
    else:
        call = _own_attention(writer, layer, sizes, q, k, v, mask, use_causal_mask)
        call += ", scores=True)" if return_attention_scores else ")"
    y = writer.value(shape, q.dtype)
    if return_attention_scores:
        scores = writer.value((q.shape[0], sizes["heads"], q.shape[1], k.shape[1]), q.dtype)
        scores.base = "scores"
        writer.assign(f"{y}, {scores}", call)
        return [y, scores]
    writer.assign(f"{y}, _" if standard else str(y), call)
    return y


def _attention_sizes(layer: Any, grouped: bool) -> dict[str, int]:
    output = layer._output_dense.kernel
    if grouped:
        heads, key_heads, head = layer.num_query_heads, layer.num_key_value_heads, layer.head_dim
        value_head = head
    else:
        heads = key_heads = layer.num_heads
        head, value_head = layer.key_dim, layer.value_dim
        if output.dim() != 3:
            raise refuse(layer, "its `output_shape` has several axes", "reshape after it.")
    return {
        "heads": heads,
        "key_heads": key_heads,
        "head": head,
        "value_head": value_head,
        "output": output.shape[-1],
    }


def _projections(layer: Any) -> dict[str, tuple[Any, Any]]:
    """Return weight `(out, in)` and bias of each projection."""
    found = {}
    for name in ("query", "key", "value", "gate"):
        dense = (
            getattr(layer, f"_{name}_dense", None) if name != "gate" or layer._use_gate else None
        )
        if dense is not None:
            bias = None if dense.bias is None else dense.bias.flatten()
            found[name] = dense.kernel.flatten(1).t(), bias
    dense = layer._output_dense
    found["output"] = dense.kernel.flatten(0, -2).t(), dense.bias
    return found


def _torch_attention(
    writer: ClassWriter,
    layer: Any,
    q: Value,
    k: Value,
    v: Value,
    causal: bool,
    scores: bool,
) -> str:
    """Write the call of an `nn.MultiheadAttention`."""
    parts = _projections(layer)
    embed, widths = q.shape[-1], (k.shape[-1], v.shape[-1])
    weights = [parts[name][0] for name in ("query", "key", "value")]
    biases = [parts[name][1] for name in ("query", "key", "value")]
    state: dict[str, Any] = {}
    extra = ""
    if widths == (embed, embed):
        state["in_proj_weight"] = torch.cat(weights)
    else:
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        state.update(zip(names, weights, strict=True))
        extra = f", kdim={widths[0]}, vdim={widths[1]}"
    if layer._use_bias:
        state["in_proj_bias"] = torch.cat(biases)
        state["out_proj.bias"] = parts["output"][1]
    else:
        extra += ", bias=False"
    state["out_proj.weight"] = parts["output"][0]
    rate = f", dropout={spelled(layer._dropout)}" if layer._dropout else ""
    text = f"nn.MultiheadAttention({embed}, {layer.num_heads}{rate}{extra}, batch_first=True)"
    module = writer.module(layer, text, state)
    call = f"{module}({q}, {k}, {v}"
    call += ", average_attn_weights=False" if scores else ", need_weights=False"
    if causal:
        later = f"torch.ones({q}.shape[1], {k}.shape[1], dtype=torch.bool, device={q}.device)"
        later = writer.emit(f"{later}.triu(1)", shape=(None, None), base="later")
        call += f", attn_mask={later}"
    return f"{call})"


def _own_attention(
    writer: ClassWriter,
    layer: Any,
    sizes: dict[str, int],
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None,
    causal: bool,
) -> str:
    """Write the call of the helper class, without its closing parenthesis."""
    name = writer.helper(helpers.Attention)
    state = {}
    for part, (weight, bias) in _projections(layer).items():
        state[f"{part}.weight"], state[f"{part}.bias"] = weight, bias
    numbers = [q.shape[-1], k.shape[-1], v.shape[-1], sizes["output"]]
    numbers += [sizes[key] for key in ("heads", "key_heads", "head", "value_head")]
    text = f"{name}({', '.join(map(str, numbers))}"
    text += "" if layer._use_bias else ", bias=False"
    text += f", dropout={spelled(layer._dropout)}" if layer._dropout else ""
    module = writer.module(layer, f"{text}{', gate=True' if layer._use_gate else ''})", state)
    call = f"{module}({q}, {v}, {k}"
    call += "" if mask is None else f", mask={mask}"
    call += ", causal=True" if causal else ""
    return call + (
        "" if layer._sliding_window is None else f", window={spelled(layer._sliding_window)}"
    )


@translates(Attention, AdditiveAttention)
def _attention(
    writer: ClassWriter,
    layer: Any,
    inputs: Sequence[Value],
    mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    masks = [x.mask for x in inputs] if mask is None else list(mask)
    query, value = (writer.plain(floating(writer, layer, x)) for x in inputs[:2])
    key = writer.plain(inputs[2]) if len(inputs) > 2 else value
    scale = None if layer.scale is None else writer.parameter(layer, "scale", layer.scale)
    if isinstance(layer, AdditiveAttention):
        sums = f"torch.tanh({query}.unsqueeze(-2) + {key}.unsqueeze(-3))"
        text = f"{sums}.sum(-1)" if scale is None else f"{sums} @ {scale}"
    elif layer.score_mode == "dot":
        text = f"{query} @ {key}.transpose(-2, -1)" + ("" if scale is None else f" * {scale}")
    else:
        sums = f"{query}.unsqueeze(-2) + {key}.unsqueeze(-3)"
        sums = sums if scale is None else f"{scale} * ({sums})"
        weight = writer.parameter(layer, "concat_weight", layer.concat_score_weight)
        text = f"{weight} * torch.tanh({sums}).sum(-1)"
    shape = (query.shape[0], query.shape[1], key.shape[1])
    scores = writer.emit(text, query, shape=shape, base="scores")
    name = writer.helper(helpers.attend)
    options = "" if masks[1] is None else f", mask={masks[1]}"
    options += ", causal=True" if use_causal_mask else ""
    if layer.dropout:
        options += f", dropout={spelled(layer.dropout)}, training=self.training"
    y = writer.value((*query.shape[:-1], value.shape[-1]), query.dtype)
    weights = writer.value(shape, query.dtype, base="scores")
    writer.assign(f"{y}, {weights}", f"{name}({scores}, {value}{options})")
    if masks[0] is not None:
        y = writer.emit(f"torch.where({masks[0]}.unsqueeze(-1), {y}, 0)", y)
        y.mask = masks[0]
    return [y, weights] if return_attention_scores else y
