"""Control flow of `keras.ops`: ops that take functions."""

from __future__ import annotations

from ..drawing import Draw

__all__ = ["flow"]

# Each is a call on `x`, of shape `(3, 4)`, and `n`, a whole number from 0 to 2.
_CALLS = {
    "cond": (
        "ops.cond(ops.sum({x}) > 0, lambda: {x} * 2, lambda: {x} - 1)",
        "ops.cond({n} > 1, lambda: ops.sum({x}), lambda: ops.max({x}))",
        "ops.cond({flag}, lambda: ({x}, 1.0), lambda: (-{x}, 2.0))",
        "ops.cond(ops.any({x} > 1), lambda: {{'a': {x}}}, lambda: {{'a': ops.zeros_like({x})}})",
    ),
    "switch": (
        "ops.switch({n}, [lambda t: t + 1, lambda t: t * 2, lambda t: -t], {x})",
        "ops.switch({n}, [lambda a, b: a + b, lambda a, b: a * b], {x}, 2.0)",
        "ops.switch(7, [ops.tanh, ops.exp], {x})",
    ),
    "while_loop": (
        "ops.while_loop(lambda i, t: i < {k}, lambda i, t: (i + 1, t * 0.5), (0, {x}))",
        "ops.while_loop(lambda t: ops.max(ops.abs(t)) > 0.1, lambda t: t / 2, ({x},))",
        "ops.while_loop(lambda i: i < 9, lambda i: i + 2, (ops.array(0),))",
        "ops.while_loop(lambda i, t: True, lambda i, t: (i + 1, t + 1), (0, {x}),"
        " maximum_iterations={k})",
        "ops.while_loop(lambda i: i < 3, lambda i: [i + 1], [0])",
    ),
    "fori_loop": (
        "ops.fori_loop(0, {k}, lambda i, t: t + i, {x})",
        "ops.fori_loop(1, 4, lambda i, s: (s[0] * i, s[1] + 1), ({x}, 0))",
        "ops.fori_loop(3, 1, lambda i, t: t * 2, {x})",
    ),
    "scan": (
        "ops.scan(lambda c, t: (c + t, c * t), ops.zeros((4,)), {x})",
        "ops.scan(lambda c, t: (c + 1, c), ops.array(0), length={k})",
        "ops.scan(lambda c, t: (c + ops.sum(t), t * 2), ops.array(0.0), {x}, reverse=True)",
        "ops.scan(lambda c, t: (c + t[0], t[1]), ops.zeros((4,)), ({x}, {x} * 2))",
        "ops.scan(lambda c, t: ({{'a': c['a'] + t}}, c['a']), {{'a': ops.ones((4,))}}, {x})",
    ),
    "map": (
        "ops.map(lambda t: ops.sum(t), {x})",
        "ops.map(lambda t: t[0] * t[1], ({x}, {x}))",
        "ops.map(lambda t: (t, ops.max(t)), {x})",
        "ops.map(lambda t: {{'a': t['u'] + 1}}, {{'u': {x}}})",
    ),
    "vectorized_map": (
        "ops.vectorized_map(lambda t: ops.sum(t * 2), {x})",
        "ops.vectorized_map(lambda t: ops.outer(t, t), {x})",
        "ops.vectorized_map(lambda t: t[0] + t[1], ({x}, {x}))",
        "ops.vectorized_map(lambda t: (t, ops.mean(t)), {x})",
    ),
    "associative_scan": (
        "ops.associative_scan(lambda a, b: a + b, {x})",
        "ops.associative_scan(lambda a, b: a * b, {x}, axis=1)",
        "ops.associative_scan(ops.maximum, {x}, reverse=True)",
        "ops.associative_scan(lambda a, b: (a[0] + b[0], a[1] * b[1]), ({x}, {x}))",
        "ops.associative_scan(lambda a, b: [a[0] @ b[0]], [ops.ones((3, 2, 2))])",
    ),
    "vectorize": (
        "ops.vectorize(lambda a: ops.sum(a), signature='(k)->()')({x})",
        "ops.vectorize(lambda a, b: a * b)({x}, {x}[0])",
        "ops.vectorize(lambda a, b: ops.dot(a, b), signature='(k),(k)->()')({x}, {x})",
        "ops.vectorize(lambda a, b: a * b, excluded={{1}})({x}, 2.0)",
    ),
    "jvp": (
        "ops.jvp(ops.sin, ({x},), (ops.ones_like({x}),))",
        "ops.jvp(lambda a, b: a * b, ({x}, {x} + 1), ({x}, {x}))",
        "ops.jvp(lambda a: (ops.exp(a), a), ({x},), ({x},), has_aux=True)",
    ),
    "custom_gradient": ("double({x})", "double({x}) + ops.tanh({x})", "double(double({x}))"),
}
_DOUBLE = """
@ops.custom_gradient
def double(t):
    def grad(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        return upstream * 10.0
    return t * 2.0, grad
"""


def flow(draw: Draw, bits: int) -> list[str]:
    """Pieces of a program of control flow: eager, symbolic, in a layer, with gradients."""
    del bits
    pieces = [f"x = ops.convert_to_tensor(numbers(3, 4, seed={draw.whole(0, 99)}))"]
    for i in range(draw.whole(2, 4)):
        name = draw.one(list(_CALLS))
        if name == "custom_gradient" and _DOUBLE not in pieces:
            pieces.append(_DOUBLE)
        text = draw.one(_CALLS[name])
        given = {
            "k": draw.whole(1, 4), "n": draw.whole(0, 2), "flag": draw.one(["True", "False"])
        }  # fmt: skip
        eager = text.format(x="x", **given)
        forms = [_eager, _eager, _symbolic, _layer, _gradient]
        if name == "vectorize":  # which takes no symbols, in neither library
            forms = [_eager, _gradient]
        lines = draw.one(forms)(text, given, eager)
        body = "\n".join([f"def case{i}():", *(f"    {line}" for line in lines)])
        pieces += [body, f"tried({name!r}, case{i})"]
    return pieces


def _eager(text: str, given: dict, eager: str) -> list[str]:
    return [f"return {eager}"]


def _symbolic(text: str, given: dict, eager: str) -> list[str]:
    return [
        "s = keras.Input(batch_shape=(3, 4))",
        f"y = {text.format(x='s', **given)}",
        "print(keras.tree.map_structure(lambda t: (getattr(t, 'shape', t)), y))",
        "return keras.Model(s, y)(x)",
    ]


def _layer(text: str, given: dict, eager: str) -> list[str]:
    return [
        "class Mine(layers.Layer):",
        "    def call(self, t):",
        f"        return {text.format(x='t', **given)}",
        "y = Mine()(keras.Input(batch_shape=(3, 4)))",
        "print(keras.tree.map_structure(lambda t: (getattr(t, 'shape', t)), y))",
        "return Mine()(x)",
    ]


def _gradient(text: str, given: dict, eager: str) -> list[str]:
    return [
        "v = x.clone().requires_grad_()",
        f"y = keras.tree.flatten({text.format(x='v', **given)})",
        "ops.sum(ops.stack([ops.sum(ops.cast(t, 'float32')) for t in y])).backward()",
        "return v.grad",
    ]
