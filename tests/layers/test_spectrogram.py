"""`MelSpectrogram` and `STFTSpectrogram` against SciPy and closed forms."""

import numpy as np
import pytest
import scipy.signal
import torch

from torchkeras.layers import MelSpectrogram, STFTSpectrogram


def test_a_tone_is_in_the_band_of_its_frequency():
    rate, hertz = 8000, 1000.0
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(4000) / rate)
    layer = MelSpectrogram(512, 128, sampling_rate=rate, num_mel_bins=30, power_to_db=False)
    loudest = layer(tone).mean(-1).argmax()
    mel = [1127 * np.log(1 + f / 700) for f in (20.0, 4000.0, hertz)]
    centers = np.linspace(mel[0], mel[1], 32)[1:-1]
    assert abs(centers[loudest] - mel[2]) <= (centers[1] - centers[0]) / 2


def test_decibels_are_cut_off():
    layer = MelSpectrogram(256, 64, num_mel_bins=10, sampling_rate=8000, top_db=30.0)
    quiet_then_loud = torch.cat([torch.full((1000,), 1e-6), torch.randn(1000)])
    found = layer(quiet_then_loud)
    assert found.max() - found.min() == pytest.approx(30.0, abs=1e-4)


@pytest.mark.parametrize("scaling", ["density", "spectrum"])
@pytest.mark.parametrize("mode", ["psd", "magnitude"])
def test_scipy(mode, scaling):
    x = np.random.default_rng(0).normal(size=(2, 1000, 1))
    layer = STFTSpectrogram(mode, 128, 64, window="hamming", scaling=scaling, dtype="float64")
    _, _, expected = scipy.signal.spectrogram(
        x[..., 0],
        window=scipy.signal.get_window("hamming", 128, fftbins=False),
        nperseg=128,
        noverlap=64,
        mode=mode,
        scaling=scaling,
        detrend=False,
    )
    np.testing.assert_allclose(layer(x).detach(), expected.transpose(0, 2, 1), rtol=1e-6, atol=1e-9)


def test_kernels_can_be_trained():
    layer = STFTSpectrogram("log", 32)
    layer(torch.randn(1, 100, 1)).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in layer.weights)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="int16(.|\n)*32768"):
        STFTSpectrogram(frame_length=8)(torch.zeros(1, 100, 1, dtype=torch.int16))
