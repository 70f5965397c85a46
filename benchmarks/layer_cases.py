"""The layers that `layers.py` times: each in Keras's API and as PyTorch has it, with input shapes.

Letters: B batch, T time steps, C channels or features. Shapes are Keras's, channels last. Where
torch wants channels first it gets the same memory as a permuted view, which for images is its
`channels_last` format; for series torch has no such format, and gets contiguous `(B, C, T)`.
A layer that torch lacks is a module here, written as a careful PyTorch user would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CASES", "Case"]

Shape = tuple[int, ...]


class Case(NamedTuple):
    """One layer and how to call it.

    Attributes:
        shapes: Of the input: small, where Python counts, and of a size that is typical in models.
        torch: Makes torch's module for the channels of a shape; `None` where it has no equal.
        keras: Makes the layer from `keras.layers` and the number of channels.
        inputs: Number of inputs of that shape.
        listed: Whether Keras's layer takes its inputs as one list.
        images: Whether torch wants channels on axis 1.
        training: Whether to time the layer in training mode; else in inference mode.
        vocabulary: Above 0, inputs are integers below it.
        masked: Whether the layer is given a mask of the steps `(B, T)` too.
    """

    shapes: tuple[Shape, ...]
    torch: Callable[[int], Callable[..., Any]] | None
    keras: Callable[[Any, int], Any]
    inputs: int = 1
    listed: bool = False
    images: bool = False
    training: bool = False
    vocabulary: int = 0
    masked: bool = False


class By(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class Heads(nn.Module):
    """A linear map to several heads, `(B, T, C)` to `(B, T, N, H)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(-1, (4, -1))


class SelfAttention(nn.MultiheadAttention):
    """torch's own, called as a self-attention without weights."""

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        return super().forward(query, value, value, need_weights=False)[0]


class GroupedAttention(nn.Module):
    """Four heads of queries, two of keys and values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels // 2)
        self.value = nn.Linear(channels, channels // 2)
        self.project = nn.Linear(channels, channels)

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        q = self.query(query).unflatten(-1, (4, -1)).transpose(1, 2)
        k = self.key(value).unflatten(-1, (2, -1)).transpose(1, 2)
        v = self.value(value).unflatten(-1, (2, -1)).transpose(1, 2)
        x = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return self.project(x.transpose(1, 2).flatten(2))


class Additive(nn.Module):
    """Bahdanau's attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(channels))

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        scores = torch.tanh(query.unsqueeze(2) + value.unsqueeze(1)) @ self.scale
        return torch.softmax(scores, -1) @ value


class Packed(nn.Module):
    """A recurrent layer over padded sequences, which torch wants packed."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            x, mask.sum(1), batch_first=True, enforce_sorted=False
        )
        outputs, _ = self.layer(packed)
        return nn.utils.rnn.pad_packed_sequence(outputs, True, total_length=x.shape[1])[0]


def _separable(convolution: Any, channels: int) -> nn.Module:
    depthwise = convolution(channels, channels, 3, groups=channels, bias=False)
    return nn.Sequential(depthwise, convolution(channels, channels, 1))


def _spectral(channels: int) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(nn.Linear(channels, channels))


def _noise(x: Tensor) -> Tensor:
    return x + torch.randn_like(x) * 0.1


def _factors(x: Tensor) -> Tensor:
    return x * torch.randn_like(x).mul_(0.5).add_(1.0)


def _unmask(x: Tensor) -> Tensor:
    return x * (x != 0).any(-1, keepdim=True)


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


ROWS = ((32, 64), (256, 1024))
SERIES = ((32, 16, 64), (64, 64, 256))
IMAGES = ((32, 8, 8, 32), (32, 32, 32, 64))
VOLUMES = ((32, 4, 4, 4, 16), (8, 12, 12, 12, 32))
SEQUENCES = ((32, 16, 64), (64, 64, 128))
_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_SPACES = (SERIES, IMAGES, VOLUMES)

CASES: dict[str, Case] = {
    "Dense": Case(ROWS, lambda c: nn.Linear(c, c), lambda k, c: k.Dense(c)),
    "Dense(relu)": Case(
        ROWS,
        lambda c: nn.Sequential(nn.Linear(c, c), nn.ReLU()),
        lambda k, c: k.Dense(c, activation="relu"),
    ),
    "Dense, 3-D": Case(SERIES, lambda c: nn.Linear(c, c), lambda k, c: k.Dense(c)),
    "EinsumDense": Case(
        SERIES,
        Heads,
        lambda k, c: k.EinsumDense("abc,cde->abde", (None, 4, c // 4), bias_axes="de"),
    ),
    "Embedding": Case(
        ((32, 16), (64, 256)),
        lambda _: nn.Embedding(1000, 64),
        lambda k, _: k.Embedding(1000, 64),
        vocabulary=1000,
    ),
}
for n, shapes in enumerate(_SPACES):
    CASES[f"Conv{n + 1}D"] = Case(
        shapes,
        lambda c, n=n: _CONV[n](c, c, 3, padding=1),
        lambda k, c, n=n: getattr(k, f"Conv{n + 1}D")(c, 3, padding="same"),
        images=True,
    )
    CASES[f"Conv{n + 1}DTranspose"] = Case(
        shapes,
        lambda c, n=n: _TRANSPOSED[n](c, c, 2, 2),
        lambda k, c, n=n: getattr(k, f"Conv{n + 1}DTranspose")(c, 2, 2),
        images=True,
    )
CASES["Conv2D(strides=2)"] = Case(
    IMAGES, lambda c: nn.Conv2d(c, c, 3, 2), lambda k, c: k.Conv2D(c, 3, 2), images=True
)
CASES["Conv2D(1)"] = Case(
    IMAGES, lambda c: nn.Conv2d(c, c, 1), lambda k, c: k.Conv2D(c, 1), images=True
)
for n in (1, 2):
    CASES[f"DepthwiseConv{n}D"] = Case(
        _SPACES[n - 1],
        lambda c, n=n: _CONV[n - 1](c, c, 3, groups=c),
        lambda k, _, n=n: getattr(k, f"DepthwiseConv{n}D")(3),
        images=True,
    )
    CASES[f"SeparableConv{n}D"] = Case(
        _SPACES[n - 1],
        lambda c, n=n: _separable(_CONV[n - 1], c),
        lambda k, c, n=n: getattr(k, f"SeparableConv{n}D")(c, 3),
        images=True,
    )
CASES["ConvLSTM2D"] = Case(
    ((4, 4, 8, 8, 8), (8, 8, 16, 16, 16)), None, lambda k, c: k.ConvLSTM2D(c, 3, padding="same")
)
for n, shapes in enumerate(_SPACES, 1):
    for kind, short in (("Max", "Max"), ("Average", "Avg")):
        CASES[f"{kind}Pooling{n}D"] = Case(
            shapes,
            lambda _, n=n, short=short: getattr(nn, f"{short}Pool{n}d")(2),
            lambda k, _, n=n, kind=kind: getattr(k, f"{kind}Pooling{n}D")(2),
            images=True,
        )
        CASES[f"Adaptive{kind}Pooling{n}D"] = Case(
            shapes,
            lambda _, n=n, short=short: getattr(nn, f"Adaptive{short}Pool{n}d")(2),
            lambda k, _, n=n, kind=kind: getattr(k, f"Adaptive{kind}Pooling{n}D")(2),
            images=True,
        )
        axes = tuple(range(2, n + 2))
        CASES[f"Global{kind}Pooling{n}D"] = Case(
            shapes,
            lambda _, kind=kind, axes=axes: By(
                (lambda x: x.amax(axes)) if kind == "Max" else (lambda x: x.mean(axes))
            ),
            lambda k, _, n=n, kind=kind: getattr(k, f"Global{kind}Pooling{n}D")(),
            images=True,
        )
CASES |= {
    "BatchNormalization, rows": Case(
        ROWS, nn.BatchNorm1d, lambda k, _: k.BatchNormalization(), training=True
    ),
    "BatchNormalization, train": Case(
        IMAGES, nn.BatchNorm2d, lambda k, _: k.BatchNormalization(), images=True, training=True
    ),
    "BatchNormalization, infer": Case(
        IMAGES, nn.BatchNorm2d, lambda k, _: k.BatchNormalization(), images=True
    ),
    "LayerNormalization": Case(SERIES, nn.LayerNorm, lambda k, _: k.LayerNormalization()),
    "GroupNormalization": Case(
        IMAGES, lambda c: nn.GroupNorm(4, c), lambda k, _: k.GroupNormalization(4), images=True
    ),
    "RMSNormalization": Case(
        SERIES, lambda c: nn.RMSNorm(c, eps=1e-6), lambda k, _: k.RMSNormalization()
    ),
    "UnitNormalization": Case(SERIES, lambda _: By(_unit), lambda k, _: k.UnitNormalization()),
    "SpectralNormalization": Case(
        ROWS, _spectral, lambda k, c: k.SpectralNormalization(k.Dense(c)), training=True
    ),
    "MultiHeadAttention": Case(
        SERIES,
        lambda c: SelfAttention(c, 4, batch_first=True),
        lambda k, c: k.MultiHeadAttention(4, c // 4),
        inputs=2,
    ),
    "GroupQueryAttention": Case(
        SERIES, GroupedAttention, lambda k, c: k.GroupQueryAttention(c // 4, 4, 2), inputs=2
    ),
    "Attention": Case(
        SERIES,
        lambda _: By(lambda q, v: F.scaled_dot_product_attention(q, v, v, scale=1.0)),
        lambda k, _: k.Attention(),
        inputs=2,
        listed=True,
    ),
    "AdditiveAttention": Case(
        ((32, 16, 64), (16, 32, 128)),
        Additive,
        lambda k, _: k.AdditiveAttention(),
        inputs=2,
        listed=True,
    ),
}
for name, layer in (("SimpleRNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)):
    CASES[name] = Case(
        SEQUENCES,
        lambda c, layer=layer: layer(c, c, batch_first=True),
        lambda k, c, name=name: getattr(k, name)(c, return_sequences=True),
    )
    CASES[f"{name}, mask"] = Case(
        SEQUENCES,
        lambda c, layer=layer: Packed(layer(c, c, batch_first=True)),
        lambda k, c, name=name: getattr(k, name)(c, return_sequences=True),
        masked=True,
    )
    CASES[f"Bidirectional({name})"] = Case(
        SEQUENCES,
        lambda c, layer=layer: layer(c, c, batch_first=True, bidirectional=True),
        lambda k, c, name=name: k.Bidirectional(getattr(k, name)(c, return_sequences=True)),
    )
CASES |= {
    "TimeDistributed(Dense)": Case(
        SERIES, lambda c: nn.Linear(c, c), lambda k, c: k.TimeDistributed(k.Dense(c))
    ),
    "Dropout": Case(ROWS, lambda _: nn.Dropout(0.3), lambda k, _: k.Dropout(0.3), training=True),
    "SpatialDropout2D": Case(
        IMAGES,
        lambda _: nn.Dropout2d(0.3),
        lambda k, _: k.SpatialDropout2D(0.3),
        images=True,
        training=True,
    ),
    "AlphaDropout": Case(
        ROWS, lambda _: nn.AlphaDropout(0.3), lambda k, _: k.AlphaDropout(0.3), training=True
    ),
    "GaussianDropout": Case(
        ROWS, lambda _: By(_factors), lambda k, _: k.GaussianDropout(0.2), training=True
    ),
    "GaussianNoise": Case(
        ROWS, lambda _: By(_noise), lambda k, _: k.GaussianNoise(0.1), training=True
    ),
    "ReLU": Case(ROWS, lambda _: nn.ReLU(), lambda k, _: k.ReLU()),
    "LeakyReLU": Case(ROWS, lambda _: nn.LeakyReLU(0.3), lambda k, _: k.LeakyReLU(0.3)),
    "ELU": Case(ROWS, lambda _: nn.ELU(), lambda k, _: k.ELU()),
    "PReLU": Case(ROWS, nn.PReLU, lambda k, _: k.PReLU()),
    "Softmax": Case(ROWS, lambda _: nn.Softmax(-1), lambda k, _: k.Softmax()),
}
for name, layer in {
    "relu": nn.ReLU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "softplus": nn.Softplus(),
    "hard_sigmoid": nn.Hardsigmoid(),
    "mish": nn.Mish(),
    "selu": nn.SELU(),
    "log_softmax": nn.LogSoftmax(-1),
}.items():
    CASES[f"Activation({name})"] = Case(
        ROWS, lambda _, layer=layer: layer, lambda k, _, name=name: k.Activation(name)
    )
for name, function in {
    "Add": torch.add,
    "Subtract": torch.sub,
    "Multiply": torch.mul,
    "Average": lambda a, b: (a + b) / 2,
    "Maximum": torch.maximum,
    "Minimum": torch.minimum,
    "Concatenate": lambda a, b: torch.cat((a, b), -1),
}.items():
    CASES[name] = Case(
        ROWS,
        lambda _, function=function: By(function),
        lambda k, _, name=name: getattr(k, name)(),
        inputs=2,
        listed=True,
    )
CASES |= {
    "Dot": Case(
        ROWS,
        lambda _: By(lambda a, b: (a * b).sum(-1, keepdim=True)),
        lambda k, _: k.Dot(-1),
        inputs=2,
        listed=True,
    ),
    "Flatten": Case(SERIES, lambda _: nn.Flatten(), lambda k, _: k.Flatten()),
    "Reshape": Case(
        SERIES, lambda c: nn.Unflatten(2, (4, -1)), lambda k, c: k.Reshape((-1, 4, c // 4))
    ),
    "Permute": Case(
        SERIES, lambda _: By(lambda x: x.permute(0, 2, 1)), lambda k, _: k.Permute((2, 1))
    ),
    "RepeatVector": Case(
        ROWS, lambda _: By(lambda x: x.unsqueeze(1).repeat(1, 4, 1)), lambda k, _: k.RepeatVector(4)
    ),
    "UpSampling1D": Case(
        SERIES, lambda _: nn.Upsample(scale_factor=2), lambda k, _: k.UpSampling1D(2), images=True
    ),
    "UpSampling2D": Case(
        IMAGES, lambda _: nn.Upsample(scale_factor=2), lambda k, _: k.UpSampling2D(2), images=True
    ),
    "UpSampling2D(bilinear)": Case(
        IMAGES,
        lambda _: nn.Upsample(scale_factor=2, mode="bilinear"),
        lambda k, _: k.UpSampling2D(2, interpolation="bilinear"),
        images=True,
    ),
    "UpSampling3D": Case(
        VOLUMES, lambda _: nn.Upsample(scale_factor=2), lambda k, _: k.UpSampling3D(2), images=True
    ),
    "ZeroPadding1D": Case(
        SERIES, lambda _: nn.ZeroPad1d(1), lambda k, _: k.ZeroPadding1D(1), images=True
    ),
    "ZeroPadding2D": Case(
        IMAGES, lambda _: nn.ZeroPad2d(1), lambda k, _: k.ZeroPadding2D(1), images=True
    ),
    "ZeroPadding3D": Case(
        VOLUMES, lambda _: nn.ZeroPad3d(1), lambda k, _: k.ZeroPadding3D(1), images=True
    ),
    "Cropping2D": Case(
        IMAGES,
        lambda _: By(lambda x: x[:, :, 1:-1, 1:-1]),
        lambda k, _: k.Cropping2D(1),
        images=True,
    ),
    "Masking": Case(SERIES, lambda _: By(_unmask), lambda k, _: k.Masking()),
    "Identity": Case(ROWS, lambda _: nn.Identity(), lambda k, _: k.Identity()),
    "Rescaling": Case(
        IMAGES, lambda _: By(lambda x: x * 2.0 + 1.0), lambda k, _: k.Rescaling(2.0, 1.0)
    ),
}
