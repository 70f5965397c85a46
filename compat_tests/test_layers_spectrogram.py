"""`MelSpectrogram` and `STFTSpectrogram` against Keras."""

import numpy as np
import pytest
from oracle import assert_close, assert_same_config, assert_same_error, compare_layer, make_pair

import torchkeras

RNG = np.random.default_rng(0)


def sound(*shape, dtype="float32"):
    return RNG.uniform(-1, 1, shape).astype(dtype)


MEL = {"fft_length": 256, "sequence_stride": 64, "num_mel_bins": 20, "sampling_rate": 8000}


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"power_to_db": False},
        {"power_to_db": False, "mag_exp": 1.0},
        {"mag_exp": 3.0, "top_db": 20.0},
        {"window": "hamming", "sequence_length": 200},
        {"window": None},
        {"window": np.linspace(0, 1, 256, dtype="float32")},
        {"min_freq": 300.0, "max_freq": 2000.0, "min_power": 1e-3, "ref_power": 2.0},
        {"dtype": "float64"},
        {"dtype": "float16"},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(2, 1000), (777,)], ids=str)
def test_mel(shape, kwargs):
    kwargs = {**MEL, **kwargs}
    array = isinstance(kwargs.get("window"), np.ndarray)
    # Rounding of powers, in decibels; float32 transforms behind all dtypes but float64.
    bound = {"rtol": 1e-3, "atol": 1e-3} if kwargs.get("dtype") != "float16" else {"atol": 0.1}
    compare_layer(
        "MelSpectrogram", kwargs, inputs=sound(*shape), config=not array, symbolic=False, **bound
    )


def test_mel_of_silence():
    ours, theirs = make_pair("MelSpectrogram", MEL)
    assert_close(ours(np.zeros((2, 500))), theirs(np.zeros((2, 500))), rtol=1e-5)


@pytest.mark.parametrize(
    "args", [(), (10, 65, 16000, 0.0, 8000.0), (128, 1025, 16000, 20.0, 8000.0)], ids=str
)
def test_mel_bands(args):
    ours, theirs = make_pair("MelSpectrogram", MEL)
    matrix = ours.linear_to_mel_weight_matrix(*args)
    assert_close(matrix, theirs.linear_to_mel_weight_matrix(*args), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("samples", [256, 1000, 1023, 1024, 4097])
def test_mel_shapes_are_those_of_the_result(samples):
    """Keras's are one too long where the samples are one short of a multiple of the stride."""
    layer = torchkeras.layers.MelSpectrogram(**MEL)
    assert layer.compute_output_shape((2, samples)) == tuple(layer(sound(2, samples)).shape)
    assert layer.compute_output_shape((None, None)) == (None, 20, None)


def test_mel_errors():
    assert_same_error(lambda k: k.layers.MelSpectrogram(fft_length=8, sequence_length=9))


# STFTSpectrogram ---------------------------------------------------------------------------------

MODES = ["log", "magnitude", "psd", "real", "imag", "angle", "stft"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("expand_dims", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_stft_modes(mode, expand_dims, data_format):
    kwargs = {"mode": mode, "frame_length": 32, "expand_dims": expand_dims}
    last = data_format == "channels_last"
    shape = (2, 100, 3) if last else (2, 3, 100)
    compare_layer(
        "STFTSpectrogram",
        {**kwargs, "data_format": data_format},
        inputs=sound(*shape),
        gradients=mode != "angle",  # of which nearly silent bins have arbitrary ones
        output_shapes=[(None, *shape[1:]), (None, None, 3) if last else (None, 3, None)],
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"frame_step": 7, "padding": "same"},
        {"frame_step": 32, "fft_length": 64},
        {"frame_length": 20},
        {"window": "hamming", "scaling": "spectrum", "periodic": True},
        {"window": "blackman", "scaling": None},
        {"window": [0.5] * 32},
        {"trainable": False},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_stft_arguments(kwargs):
    kwargs = {"frame_length": 32, "mode": "psd", **kwargs}
    compare_layer("STFTSpectrogram", kwargs, inputs=sound(2, 100, 1), rtol=1e-4, atol=1e-5)


def test_stft_config():
    ours, theirs = make_pair("STFTSpectrogram", {"mode": "real", "frame_step": 5})
    assert_same_config(ours, theirs)


def test_odd_transforms_are_warned_about():
    with pytest.warns(UserWarning, match="power of two"):
        torchkeras.layers.STFTSpectrogram(frame_length=8, fft_length=9)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.STFTSpectrogram(frame_length=8, frame_step=9),
        lambda k: k.layers.STFTSpectrogram(frame_step=0),
        lambda k: k.layers.STFTSpectrogram(frame_length=8, fft_length=4),
        lambda k: k.layers.STFTSpectrogram(mode="power"),
        lambda k: k.layers.STFTSpectrogram(scaling="l2"),
        lambda k: k.layers.STFTSpectrogram(padding="causal"),
        lambda k: k.layers.STFTSpectrogram(window="none such"),
        lambda k: k.layers.STFTSpectrogram(frame_length=4)(np.ones((1, 9, 1), "int32")),
        lambda k: k.layers.STFTSpectrogram(frame_length=4)(np.ones((9, 1), "float32")),
    ],
)
def test_stft_errors(action):
    assert_same_error(action)
