"""Layers by NumPy, from their definitions, for tests that share no code with what they test.

Letters: B batch, T steps, I inputs, F filters, U units, k window. Data has its channels last.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    """That of Keras 1 and 2."""
    return np.clip(0.2 * x + 0.5, 0, 1)


def windows(x, size, strides=1, dilation=1, padding="valid", fill=0.0):
    """Windows `(B, places..., k..., I)` of `(B, ..., I)`; "same" pads as TensorFlow does."""
    rank = x.ndim - 2
    size, strides, dilation = (
        (v,) * rank if isinstance(v, int) else tuple(v) for v in (size, strides, dilation)
    )
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if padding == "same":
        pads = []
        for n, span, s in zip(x.shape[1:-1], spans, strides, strict=True):
            total = max((-(-n // s) - 1) * s + span - n, 0)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    axes = tuple(range(1, rank + 1))
    found = np.lib.stride_tricks.sliding_window_view(x, spans, axes)  # (B, places, I, k)
    found = found[(slice(None), *(slice(None, None, s) for s in strides))]
    found = found[(..., *(slice(None, None, d) for d in dilation))]
    return np.moveaxis(found, rank + 1, -1)


def conv(x, kernel, bias=0.0, strides=1, dilation=1, padding="valid"):
    """Correlation with a kernel `(k..., I, F)`."""
    rank = x.ndim - 2
    found = windows(x, kernel.shape[:rank], strides, dilation, padding)
    axes = (tuple(range(rank + 1, 2 * rank + 2)), tuple(range(rank + 1)))
    return np.tensordot(found, kernel, axes) + bias


def depthwise(x, kernel, padding="valid"):
    """Correlation of each channel with its kernels `(k, k, I, M)`."""
    y = np.einsum("bhwklc,klcm->bhwcm", windows(x, kernel.shape[:2], padding=padding), kernel)
    return y.reshape(*y.shape[:3], -1)


def transposed(x, kernel, bias, strides, padding):
    """Each input adds its multiple of a kernel `(k, k, F, I)`; "same" cuts as TensorFlow does."""
    (batch, rows, columns, _), (k, filters) = x.shape, kernel.shape[1:3]
    y = np.zeros((batch, (rows - 1) * strides + k, (columns - 1) * strides + k, filters))
    for i in range(rows):
        for j in range(columns):
            y[:, i * strides : i * strides + k, j * strides : j * strides + k] += np.einsum(
                "bi,klfi->bklf", x[:, i, j], kernel
            )
    if padding == "same":
        cut = max(k - strides, 0) // 2
        y = y[:, cut : cut + rows * strides, cut : cut + columns * strides]
    return y + bias


def rnn(x, kernel, recurrent, bias, mask=None, backwards=False):
    """All states of a `SimpleRNN`."""
    return _steps(
        x, len(recurrent), lambda s, h, c: (np.tanh(s @ kernel + h @ recurrent + bias), c)
    )


def lstm(x, kernel, recurrent, bias, gate=hard_sigmoid, mask=None, backwards=False):
    """All states of an LSTM whose weights have the gates i, f, c, o side by side."""

    def step(s, h, c):
        i, f, g, o = np.split(s @ kernel + h @ recurrent + bias, 4, -1)
        c = gate(f) * c + gate(i) * np.tanh(g)
        return gate(o) * np.tanh(c), c

    return _steps(x, len(recurrent), step, mask, backwards)


def gru(x, kernel, recurrent, bias, gate=hard_sigmoid, backwards=False, reset_after=False):
    """All states of a GRU with the gates z, r, h side by side."""
    units = len(recurrent)

    def step(s, h, c):
        a, b = s @ kernel + (bias[0] if reset_after else bias), h @ recurrent
        if reset_after:
            b = b + bias[1]
        z, r = (gate(a[:, k : k + units] + b[:, k : k + units]) for k in (0, units))
        inner = r * b[:, 2 * units :] if reset_after else (r * h) @ recurrent[:, 2 * units :]
        return z * h + (1 - z) * np.tanh(a[:, 2 * units :] + inner), c

    return _steps(x, units, step, None, backwards)


def _steps(x, units, step, mask=None, backwards=False):
    h = c = np.zeros((len(x), units))
    found = []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        new_h, new_c = step(x[:, t], h, c)
        keep = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        h, c = np.where(keep, new_h, h), np.where(keep, new_c, c)
        found.append(h)
    return np.stack(found, 1)


def conv_lstm(x, kernel, recurrent, bias, gate=hard_sigmoid):
    """The last state of a ConvLSTM2D over `(B, T, H, W, I)`, padding "same" for the states."""
    h = c = None
    for t in range(x.shape[1]):
        z = conv(x[:, t], kernel, bias)
        if h is None:
            h = c = np.zeros((*z.shape[:-1], z.shape[-1] // 4))
        i, f, g, o = np.split(z + conv(h, recurrent, padding="same"), 4, -1)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
    return h
