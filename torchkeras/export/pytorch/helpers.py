"""What generated PyTorch code needs besides `torch.nn`: copied into the file where it is used.

Each definition stands for itself: it refers to `torch`, `nn`, `F`, and to nothing else of this
package but the definitions named in `NEEDS`. They take tensors as PyTorch has them; batches come
first, channels before space. Masks: True means "use this step".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = [
    "NEEDS",
    "AlphaDropout",
    "Attention",
    "DropoutOfShape",
    "GaussianDropout",
    "GaussianNoise",
    "RecurrentLoop",
    "attend",
    "center_crop",
    "masked_mean",
    "normalize_over",
    "pad_same",
    "resize_cubic",
    "resize_to_aspect",
    "run_masked",
    "source_of",
    "sparsemax",
]


def pad_same(x, window, stride, dilation, mode="constant", value=None):
    """Pad the axes after the channels such that a window yields `ceil(size / stride)` steps."""
    pads = []
    for size, k, s, d in zip(x.shape[2:], window, stride, dilation, strict=True):
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads, mode=mode, value=value)


def masked_mean(x, mask):
    """The mean over axis 1 of the steps in use."""
    used = mask.unsqueeze(-1)
    return torch.where(used, x, 0).sum(1) / used.sum(1)


def normalize_over(x, dims, order, epsilon):
    """Divide by the norm over some axes."""
    norm = torch.linalg.vector_norm(x, order, dims, keepdim=True)
    return x / norm.clamp(min=epsilon)


def sparsemax(x, dim=-1):
    """Like softmax, but small values become 0; Keras's variant, which may sum to less than 1."""
    x = x.transpose(dim, -1)
    ordered = x.sort(-1, descending=True).values
    ranks = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    sums = ordered.cumsum(-1)
    support = ordered > (sums - 1) / ranks
    total = torch.where(support, sums, 0).sum(-1, keepdim=True)
    threshold = (total - 1) / support.sum(-1, keepdim=True)
    return torch.relu(x - threshold).transpose(dim, -1)


def resize_to_aspect(x, size, crop, value=0.0):
    """Cut images from their middle, or fill them up, to the aspect ratio of `size`."""
    height, width = x.shape[-2:]
    wanted = int(width * size[0] / size[1]), int(height * size[1] / size[0])
    if crop:
        rows, columns = max(min(height, wanted[0]), 1), max(min(width, wanted[1]), 1)
        top, left = (height - rows) // 2, (width - columns) // 2
        return x[:, :, top : top + rows, left : left + columns]
    top, left = (max(height, wanted[0]) - height) // 2, (max(width, wanted[1]) - width) // 2
    return F.pad(x, (left, left, top, top), value=value)


def resize_cubic(x, size):
    """Resize by cubic curves with a = -0.5, in steps of 1/1024 pixel, as TensorFlow does."""
    for axis, new in zip((2, 3), size, strict=True):
        old = x.shape[axis]
        place = (torch.arange(new, device=x.device) + 0.5) * (old / new) - 0.5
        place = torch.round(place * 1024) / 1024
        d = (place - torch.arange(old, device=x.device)[:, None]).abs()
        near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
        weights = torch.where(d < 1, near, torch.where(d < 2, far, 0.0))
        weights = (weights / weights.sum(0)).to(x.dtype)
        x = torch.tensordot(x, weights, ([axis], [0])).movedim(-1, axis)
    return x


def center_crop(x, size):
    """Cut the middle out of images; of those too small, resize the largest part of that shape."""
    height, width = x.shape[-2:]
    if height >= size[0] and width >= size[1]:
        top, left = (height - size[0]) // 2, (width - size[1]) // 2
        return x[:, :, top : top + size[0], left : left + size[1]]
    x = resize_to_aspect(x, size, crop=True)
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class DropoutOfShape(nn.Module):
    """Dropout of whole slices: the random mask has size 1 where `shape` says so."""

    def __init__(self, p, shape):
        super().__init__()
        self.p, self.shape = p, shape

    def forward(self, x):
        shape = [n if k is None else k for n, k in zip(x.shape, self.shape, strict=True)]
        return x * F.dropout(x.new_ones(shape), self.p, self.training)


class GaussianNoise(nn.Module):
    """In training, adds normal noise."""

    def __init__(self, stddev):
        super().__init__()
        self.stddev = stddev

    def forward(self, x):
        return x + self.stddev * torch.randn_like(x) if self.training else x


class GaussianDropout(nn.Module):
    """In training, multiplies by normal noise of mean 1."""

    def __init__(self, p):
        super().__init__()
        self.stddev = (p / (1 - p)) ** 0.5

    def forward(self, x):
        return x * (1 + self.stddev * torch.randn_like(x)) if self.training else x


class AlphaDropout(nn.Module):
    """In training, sets random elements to the lower limit of SELU, and rescales all."""

    def __init__(self, p, noise_shape=None):
        super().__init__()
        self.p, self.noise_shape = p, noise_shape

    def forward(self, x):
        if not self.training:
            return x
        limit = -1.7580993408473766
        given = self.noise_shape or x.shape
        shape = [n if k is None else k for n, k in zip(x.shape, given, strict=True)]
        kept = (torch.rand(shape, device=x.device) >= self.p).to(x.dtype)
        scale = ((1 - self.p) * (1 + self.p * limit**2)) ** -0.5
        return scale * (x * kept + limit * (1 - kept) - limit * self.p)


# Recurrent ---------------------------------------------------------------------------------------


def run_masked(rnn, x, mask, state=None, zero_output=False):
    """Run `nn.LSTM`, `nn.GRU` or `nn.RNN` over the steps in use, for any pattern of masks.

    At other steps the output is the one before (zero before the first, or with `zero_output`).
    Returns what `rnn` does: the outputs, and the states after the last step in use.
    """
    used = mask.cumsum(1)
    some = used[:, -1] > 0
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # steps in use to the front
    x = x.gather(1, order.unsqueeze(-1).expand_as(x))
    lengths = used[:, -1].clamp(min=1).cpu()
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed, final = rnn(packed, state)
    y, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    index = (used - 1).clamp(min=0).unsqueeze(-1)
    visible = mask if zero_output else used > 0
    y = torch.where(visible.unsqueeze(-1), y.gather(1, index.expand_as(y)), 0)
    pairs = isinstance(final, tuple)
    after = final if pairs else (final,)
    before = state if pairs else (state,)
    before = [0] * len(after) if state is None else before
    held = [torch.where(some.view(1, -1, 1), a, b) for a, b in zip(after, before, strict=True)]
    return y, tuple(held) if pairs else held[0]


class RecurrentLoop(nn.Module):
    """A recurrent network step by step, for what `nn.LSTM`, `nn.GRU` and `nn.RNN` cannot do.

    `kind` is "lstm" (gates i, f, g, o), "gru" (r, z, n; the reset gate after the product),
    "gru_before" (the reset gate before it) or "rnn". Weights have the shapes of `nn.LSTMCell`.
    """

    def __init__(self, kind, input_size, hidden_size, bias, activation, gate=None, dropout=0.0):
        super().__init__()
        gates = {"lstm": 4, "rnn": 1}.get(kind, 3)
        self.kind, self.hidden_size, self.dropout = kind, hidden_size, dropout
        self.activation, self.gate = activation, gate
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden_size, hidden_size))
        for name in ("bias_ih", "bias_hh"):
            value = nn.Parameter(torch.empty(gates * hidden_size)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self):
        for weight in self.parameters():
            bound = self.hidden_size**-0.5
            nn.init.uniform_(weight, -bound, bound)

    def step(self, z, h, c, kept):
        n, held = self.hidden_size, h * kept
        if self.kind == "gru_before":
            r, u = self.gate(z[:, : 2 * n] + F.linear(held, self.weight_hh[: 2 * n])).chunk(2, 1)
            new = self.activation(z[:, 2 * n :] + F.linear(r * held, self.weight_hh[2 * n :]))
            return u * h + (1 - u) * new, c
        inner = F.linear(held, self.weight_hh, self.bias_hh)
        if self.kind == "rnn":
            return self.activation(z + inner), c
        if self.kind == "gru":
            r, u = self.gate(z[:, : 2 * n] + inner[:, : 2 * n]).chunk(2, 1)
            return u * h + (1 - u) * self.activation(z[:, 2 * n :] + r * inner[:, 2 * n :]), c
        i, f, g, o = (z + inner).chunk(4, 1)
        c = self.gate(f) * c + self.gate(i) * self.activation(g)
        return self.gate(o) * self.activation(c), c

    def forward(self, x, state=None, mask=None, zero_output=False):
        lstm = self.kind == "lstm"
        zeros = x.new_zeros(x.shape[0], self.hidden_size)
        if state is None:
            h, c = zeros, zeros
        else:
            h, c = (state[0][0], state[1][0]) if lstm else (state[0], zeros)
        kept = F.dropout(torch.ones_like(zeros), self.dropout, self.training)
        outputs, before = [], zeros
        for t, z in enumerate(F.linear(x, self.weight_ih, self.bias_ih).unbind(1)):
            new_h, new_c = self.step(z, h, c, kept)
            y = new_h
            if mask is not None:
                used = mask[:, t].unsqueeze(-1)
                y = torch.where(used, new_h, 0 if zero_output else before)
                new_h, new_c = torch.where(used, new_h, h), torch.where(used, new_c, c)
            h, c, before = new_h, new_c, y
            outputs.append(y)
        h, c = h.unsqueeze(0), c.unsqueeze(0)
        return torch.stack(outputs, 1), (h, c) if lstm else h


# Attention ---------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Attention between projected queries, keys and values.

    Unlike `nn.MultiheadAttention` it takes any width of heads, fewer heads of keys than of queries,
    a gate, and masks that are True where attention is allowed, `(B, T, S)` or broadcast to it. A
    query that may see nothing gets the mean of all values; with dropout, zeros.
    """

    def __init__(
        self,
        query_size,
        key_size,
        value_size,
        output_size,
        heads,
        key_heads,
        head_size,
        value_head_size,
        bias=True,
        dropout=0.0,
        gate=False,
    ):
        super().__init__()
        self.heads, self.key_heads, self.dropout = heads, key_heads, dropout
        self.query = nn.Linear(query_size, heads * head_size, bias)
        self.key = nn.Linear(key_size, key_heads * head_size, bias)
        self.value = nn.Linear(value_size, key_heads * value_head_size, bias)
        self.output = nn.Linear(heads * value_head_size, output_size, bias)
        self.gate = nn.Linear(query_size, heads * value_head_size, bias) if gate else None

    def forward(self, query, value, key, mask=None, causal=False, window=None, scores=False):
        q = self.query(query).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k = self.key(key).unflatten(-1, (self.key_heads, -1)).transpose(1, 2)
        v = self.value(value).unflatten(-1, (self.key_heads, -1)).transpose(1, 2)
        k, v = (x.repeat_interleave(self.heads // self.key_heads, 1) for x in (k, v))
        allowed = None if mask is None else (mask if mask.dim() == 4 else mask.unsqueeze(1))
        distance = torch.arange(q.shape[2], device=q.device).unsqueeze(1)
        distance = distance - torch.arange(k.shape[2], device=q.device)
        limits = [distance >= 0] if causal else []
        limits += [] if window is None else [distance.abs() < window]
        for limit in limits:
            allowed = limit if allowed is None else allowed & limit
        products = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if allowed is not None:
            low = -45850.0 if q.dtype == torch.float16 else -2.37e38
            products = products + torch.where(allowed, 0.0, low).to(q.dtype)
        weights = products.softmax(-1)
        if allowed is not None and (self.dropout > 0 or scores):
            weights = torch.where(allowed, weights, 0)
        y = F.dropout(weights, self.dropout, self.training) @ v
        y = y.transpose(1, 2).flatten(2)
        y = y if self.gate is None else y * self.gate(query).sigmoid()
        return (self.output(y), weights) if scores else self.output(y)


def attend(scores, value, mask=None, causal=False, dropout=0.0, training=False):
    """Average values by the softmax of scores `(B, T, S)`; masked scores are lowered by 1e9."""
    allowed = None if mask is None else mask.unsqueeze(-2)
    if causal:
        earlier = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        allowed = earlier if allowed is None else allowed & earlier
    if allowed is not None:
        lowered = scores - (65504.0 if scores.dtype == torch.float16 else 1e9)
        scores = torch.where(allowed, scores, lowered)
    weights = scores.softmax(-1)
    return F.dropout(weights, dropout, training) @ value, weights


# Sources -----------------------------------------------------------------------------------------

# What a definition refers to.
NEEDS: dict[str, tuple[Callable[..., Any], ...]] = {"center_crop": (resize_to_aspect,)}
_IMPORTS = {
    "run_masked": "from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence"
}


def source_of(helpers: Iterable[Callable[..., Any]]) -> tuple[list[str], str]:
    """Return the imports that helpers need, and their source, those they refer to first."""
    ordered: dict[Any, None] = {}
    for helper in helpers:
        ordered.update(dict.fromkeys((*NEEDS.get(helper.__name__, ()), helper)))
    imports = [_IMPORTS[helper.__name__] for helper in ordered if helper.__name__ in _IMPORTS]
    return imports, "\n\n".join(inspect.getsource(helper) for helper in ordered)
