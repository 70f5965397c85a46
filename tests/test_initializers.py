"""Initializers: their defining properties, identifiers, and the `meta` device."""

import math
import sys

import numpy as np
import pytest
import scipy.signal
import torch

from torchkeras import config, initializers

ALL = ["Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal"]
ALL += ["VarianceScaling", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform"]
ALL += ["LecunNormal", "LecunUniform", "Orthogonal", "Identity"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_results_are_contiguous_tensors_of_the_default_device(name, dtype):
    initializer = getattr(initializers, name)()
    for shape in [(3, 5), (5, 3)]:
        x = initializer(shape, dtype=dtype)
        assert type(x) is torch.Tensor and not x.requires_grad
        assert x.shape == shape and x.is_contiguous()
        assert x.dtype == (torch.float64 if dtype else torch.float32)
        with torch.device("meta"):
            assert initializer(shape, dtype=dtype).is_meta
        with config.device("meta"):
            assert initializer(list(shape), dtype=dtype).is_meta


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((3, 5), (3, 5)),
        ((3, 3, 4, 8), (36, 72)),
        ((2, 3, 4, 5, 6), (120, 144)),
    ],
)
def test_fans(shape, expected):
    assert initializers.compute_fans(shape) == expected


def test_fans_of_named_axes():
    assert initializers.compute_fans((2, 3, 4, 5), [0, 1], [3]) == (6, 5)


@pytest.mark.parametrize(
    "name, variance",
    [
        ("GlorotNormal", 2 / 300),
        ("GlorotUniform", 2 / 300),
        ("HeNormal", 2 / 100),
        ("HeUniform", 2 / 100),
        ("LecunNormal", 1 / 100),
        ("LecunUniform", 1 / 100),
    ],
)
def test_variances(name, variance):
    x = getattr(initializers, name)(seed=1)((100, 200), dtype="float64")
    # 20,000 numbers: the relative standard error of a variance is below sqrt(2 / 20000) = 0.01.
    assert x.var().item() == pytest.approx(variance, rel=0.04)
    assert abs(x.mean().item()) < 4 * math.sqrt(variance / 20_000)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (3, 3, 2, 6), (2, 2, 40)])
def test_orthogonal(shape):
    gain = 1.7
    matrix = initializers.Orthogonal(gain=gain, seed=1)(shape, dtype="float64").reshape(
        -1, shape[-1]
    )
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    product = matrix.T @ matrix
    torch.testing.assert_close(product, gain**2 * torch.eye(len(product), dtype=torch.float64))


def test_identity():
    assert initializers.Identity(2.0)((2, 3)).tolist() == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


def test_stft_is_a_fourier_transform():
    signal = np.random.default_rng(0).normal(size=16)
    window = scipy.signal.get_window("hann", 16, False)
    parts = [
        initializers.STFT(side, "hann", scaling=None)((16, 1, 9), dtype="float64")
        for side in ("real", "imag")
    ]
    actual = [np.einsum("t,tif->f", signal, part.numpy()) for part in parts]
    expected = np.fft.rfft(signal * window)
    np.testing.assert_allclose(actual[0], expected.real, atol=1e-12)
    np.testing.assert_allclose(actual[1], expected.imag, atol=1e-12)


def test_stft_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        initializers.STFT(window="hann")
    assert initializers.STFT(window=np.ones(4))((4, 1, 3)).shape == (4, 1, 3)


def test_calls_repeat_unless_a_generator_is_given():
    fixed = initializers.RandomNormal(seed=1)
    assert torch.equal(fixed((3,)), fixed((3,)))
    unseeded = initializers.RandomNormal()
    assert torch.equal(unseeded((3,)), unseeded((3,)))
    assert not torch.equal(unseeded((3,)), unseeded.clone()((3,)))


def test_values_given_directly():
    given = np.arange(6).reshape(2, 3)
    initializer = initializers.get(given)
    assert initializer((2, 3)).dtype == torch.float32
    with pytest.raises(ValueError, match=r"weight: \(3, 2\)\n  values: \(2, 3\)"):
        initializer((3, 2))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrom")
    with pytest.raises(ValueError, match="initializer identifier"):
        initializers.get(3)


def test_own_initializers():
    class Sevens(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return torch.full(shape, 7.0)

    config_ = initializers.serialize(Sevens())
    again = initializers.deserialize(config_, custom_objects={"Sevens": Sevens})
    assert again((2,)).tolist() == [7.0, 7.0]
    with pytest.raises(NotImplementedError, match="must define `__call__"):
        initializers.Initializer()((2,))
