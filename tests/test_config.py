"""Settings: their values, checks, sources and precedence."""

import json
import os
import subprocess
import sys
import threading

import pytest
import torch

from torchkeras import config


@pytest.fixture(autouse=True)
def restored():
    saved = dict(vars(config._settings))
    yield
    vars(config._settings).update(saved)


@pytest.mark.parametrize("value", ["bfloat16", "float16", "float32", "float64"])
def test_floatx(value):
    config.set_floatx(value)
    assert config.floatx() == value


@pytest.mark.parametrize("value", ["int32", "float8", None, 32])
def test_bad_floatx(value):
    with pytest.raises(ValueError, match="floatx"):
        config.set_floatx(value)
    assert config.floatx() == "float32"


def test_epsilon():
    config.set_epsilon(1e-3)
    assert config.epsilon() == 1e-3


def test_image_data_format():
    config.set_image_data_format("Channels_First")
    assert config.image_data_format() == "channels_first"
    assert config.standardize_data_format(None) == "channels_first"
    assert config.standardize_data_format("channels_last") == "channels_last"
    for function in (config.set_image_data_format, config.standardize_data_format):
        with pytest.raises(ValueError, match="'nhwc'"):
            function("NHWC")


def test_limits():
    for name in ("max_epochs", "max_steps_per_epoch"):
        setter, getter = getattr(config, f"set_{name}"), getattr(config, name)
        assert getter() is None
        setter(3)
        assert getter() == 3
        setter(None)
        assert getter() is None
        for bad in (-1, 2.5, "3", True):
            with pytest.raises(ValueError, match=name):
                setter(bad)


def test_switches_and_clearing_the_session():
    config.disable_interactive_logging()
    config.disable_traceback_filtering()
    config.disable_flash_attention()
    assert not config.is_interactive_logging_enabled()
    assert not config.is_traceback_filtering_enabled()
    assert config.is_flash_attention_enabled() is False
    config.enable_flash_attention()
    assert config.is_flash_attention_enabled() is None
    config.disable_flash_attention()
    config.set_floatx("float64")
    config.run_clear_session_hooks()
    assert config.is_interactive_logging_enabled()
    assert config.is_traceback_filtering_enabled()
    assert config.is_flash_attention_enabled() is None
    assert config.floatx() == "float64"  # a setting, not session state


def test_constants():
    assert config.backend() == "torch"
    assert config.is_nnx_enabled() is False


def test_default_device_without_any_scope():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert config.default_device().type == expected


def test_device_scopes_nest_and_end():
    outside = config.default_device()
    with config.device("meta") as place:
        assert place == torch.device("meta") == config.default_device()
        with config.device("cpu:0"):
            assert config.default_device() == torch.device("cpu:0")
        assert config.default_device().type == "meta"
    assert config.default_device() == outside


def test_one_device_object_may_be_entered_twice():
    scope = config.device("meta")
    with scope, config.device("cpu"), scope:
        assert config.default_device().type == "meta"
    assert config.default_device().type != "meta"


def test_device_scope_ends_after_an_error():
    with pytest.raises(KeyError), config.device("meta"):
        raise KeyError
    assert config.default_device().type != "meta"


def test_torch_device_contexts_win():
    with config.device("cpu"), torch.device("meta"):
        assert config.default_device().type == "meta"
    torch.set_default_device("meta")
    try:
        assert config.default_device().type == "meta"
    finally:
        torch.set_default_device(None)
    assert config.default_device().type != "meta"


def test_device_names():
    assert config.device("GPU:1").device == torch.device("cuda:1")
    assert config.device(torch.device("meta")).device == torch.device("meta")
    with pytest.raises(ValueError, match="3"):
        config.device(3)
    with pytest.raises(RuntimeError):
        config.device("no_such")


def test_device_scopes_belong_to_a_thread():
    seen = []
    with config.device("meta"):
        thread = threading.Thread(target=lambda: seen.append(config.default_device().type))
        thread.start()
        thread.join()
    assert seen != ["meta"]


def run(code, **environment):
    """What `code` prints in a new process, or the last line of its error."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"from torchkeras import config\n{code}"],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


SHOW = "print(config.floatx(), config.epsilon(), config.image_data_format(), config.max_epochs())"


def test_settings_file_and_environment(tmp_path):
    stored = {
        "floatx": "float16",
        "epsilon": 1e-4,
        "image_data_format": "channels_first",
        "backend": "tensorflow",
    }
    (tmp_path / "keras.json").write_text(json.dumps(stored))
    printed = run(SHOW, KERAS_HOME=str(tmp_path), KERAS_MAX_EPOCHS="2")
    assert printed == "float16 0.0001 channels_first 2"


@pytest.mark.parametrize("text", ["{", "[]", '{"floatx": "int8"}', '{"epsilon": "small"}'])
def test_a_broken_settings_file_is_reported_and_ignored(tmp_path, monkeypatch, text):
    (tmp_path / "keras.json").write_text(text)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.warns(UserWarning, match="keras.json were ignored"):
        config._read_settings_file()
    assert config.floatx() == "float32" and config.epsilon() == 1e-7


def test_keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "absent"))
    assert config.keras_home() == str(tmp_path / "absent")
    config._read_settings_file()  # silently: there need not be any
    assert not (tmp_path / "absent").exists()
    monkeypatch.delenv("KERAS_HOME")
    assert config.keras_home().endswith(".keras")


def test_bad_environment(monkeypatch):
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "many")
    with pytest.raises(ValueError, match="KERAS_MAX_EPOCHS is 'many'"):
        config._read_environment()


def test_the_backend_is_torch():
    config.set_backend("torch")
    assert config.backend() == "torch"
    with pytest.raises(NotImplementedError, match="'jax'"):
        config.set_backend("jax")
