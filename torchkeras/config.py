"""Process-wide settings: float type, epsilon, image layout, default device, limits and switches.

Precedence for the device of new tensors: an active `torch.device(...)` context or
`torch.set_default_device`, then the `device(...)` scope below, then `KERAS_TORCH_DEVICE`,
then CUDA when present, then the CPU.
Startup values come from `$KERAS_HOME/keras.json` (default `~/.keras/keras.json`) if it is there;
the file is never written. `KERAS_MAX_EPOCHS` and `KERAS_MAX_STEPS_PER_EPOCH` set the limits.
Sources: `keras.config` (names and meaning of the settings).
"""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

__all__ = [
    "at_clear_session",
    "backend",
    "default_device",
    "device",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "epsilon",
    "floatx",
    "get_global_attribute",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "keras_home",
    "max_epochs",
    "max_steps_per_epoch",
    "run_clear_session_hooks",
    "set_backend",
    "set_epsilon",
    "set_floatx",
    "set_global_attribute",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
    "standardize_data_format",
]

FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
DATA_FORMATS = ("channels_last", "channels_first")

_mode_depth = torch._C._len_torch_function_stack


class _Settings:
    """The values behind the functions of this module."""

    def __init__(self) -> None:
        self.floatx = "float32"
        self.epsilon = 1e-7
        self.image_data_format = "channels_last"
        self.max_epochs: int | None = None
        self.max_steps_per_epoch: int | None = None
        self.reset_switches()

    def reset_switches(self) -> None:
        self.interactive_logging = True
        self.traceback_filtering = True
        self.flash_attention: bool | None = None


class _Scopes(threading.local):
    """The open `device` scope of a thread, and the attributes that scopes keep by name."""

    device: torch.device | None = None

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}


_settings = _Settings()
_scopes = _Scopes()
_clear_hooks: list[Callable[[], None]] = [_settings.reset_switches]
_fallback_device: torch.device | None = None


def _one_of(value: object, options: tuple[str, ...], what: str) -> str:
    if value not in options:
        raise ValueError(
            f"Unknown {what}: {value!r}. Expected one of: {', '.join(map(repr, options))}."
        )
    return str(value)


def _limit(value: object, what: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError(f"`{what}` must be None or an integer of at least 0. Received: {value!r}")


def floatx() -> str:
    """Name of the float type that new weights and converted Python floats get.

    Example:
        >>> floatx()
        'float32'
    """
    return _settings.floatx


def set_floatx(value: str) -> None:
    """Choose the default float type.

    Args:
        value: `"bfloat16"`, `"float16"`, `"float32"` or `"float64"`.

    Raises:
        ValueError: Any other value.
    """
    _settings.floatx = _one_of(value, FLOAT_TYPES, "`floatx` value")


def epsilon() -> float:
    """The small constant that guards divisions and logarithms.

    Example:
        >>> epsilon()
        1e-07
    """
    return _settings.epsilon


def set_epsilon(value: float) -> None:
    """Choose the constant returned by `epsilon()`."""
    _settings.epsilon = value


def image_data_format() -> str:
    """Default layout of image batches: `"channels_last"` or `"channels_first"`.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    return _settings.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Choose the default layout of image batches.

    Args:
        data_format: `"channels_last"` or `"channels_first"`, in any case.

    Raises:
        ValueError: Any other value.
    """
    _settings.image_data_format = _one_of(
        str(data_format).lower(), DATA_FORMATS, "`data_format` value"
    )


def standardize_data_format(data_format: str | None) -> str:
    """Check a layout name; `None` means the default one.

    Raises:
        ValueError: Not a layout name.

    Example:
        >>> standardize_data_format("Channels_First")
        'channels_first'
    """
    if data_format is None:
        return _settings.image_data_format
    return _one_of(str(data_format).lower(), DATA_FORMATS, "`data_format` value")


def backend() -> str:
    """Name of the engine; there is one, `"torch"`."""
    return "torch"


def set_backend(backend: str) -> None:
    """Choose the engine: accepted for code that makes sure of `"torch"`, the only one.

    Raises:
        NotImplementedError: Another engine.
    """
    if backend != "torch":
        raise NotImplementedError(
            f"torchkeras computes with PyTorch only. Received: backend={backend!r}. "
            "Fix: run this code with the package `keras`, under that engine."
        )


def is_nnx_enabled() -> bool:
    """Whether JAX's NNX objects are in use: never here."""
    return False


def max_epochs() -> int | None:
    """Upper limit on the epochs of any `fit`, or `None`."""
    return _settings.max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Cap the epochs of every `fit`; meant for quick trial runs of unchanged scripts."""
    _settings.max_epochs = _limit(max_epochs, "max_epochs")


def max_steps_per_epoch() -> int | None:
    """Upper limit on the steps of one pass of `fit`, `evaluate` or `predict`, or `None`."""
    return _settings.max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Cap the steps of every pass over data; meant for quick trial runs."""
    _settings.max_steps_per_epoch = _limit(max_steps_per_epoch, "max_steps_per_epoch")


def enable_interactive_logging() -> None:
    """Send progress bars and messages to standard output (the default)."""
    _settings.interactive_logging = True


def disable_interactive_logging() -> None:
    """Send messages to the `logging` module and make `verbose="auto"` line by line."""
    _settings.interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether messages go to standard output."""
    return _settings.interactive_logging


def enable_traceback_filtering() -> None:
    """Hide the library's own frames in error tracebacks (the default)."""
    _settings.traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Show every frame in error tracebacks."""
    _settings.traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """Whether the library's own frames are hidden in tracebacks."""
    return _settings.traceback_filtering


def enable_flash_attention() -> None:
    """Let attention layers use fused attention kernels where they apply (the default)."""
    _settings.flash_attention = None


def disable_flash_attention() -> None:
    """Keep attention layers away from flash-attention kernels."""
    _settings.flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """`False` after `disable_flash_attention`, else `None`: use it where it applies."""
    return _settings.flash_attention


def get_global_attribute(name: str, default: Any = None, set_to_default: bool = False) -> Any:
    """Look up what this thread keeps under a name until `clear_session`.

    Args:
        name: Such as `"name_scope_stack"`; libraries choose their own.
        default: Returned where there is nothing.
        set_to_default: Whether to keep the default under the name then.

    Example:
        >>> set_global_attribute("my_library_depth", 2)
        >>> get_global_attribute("my_library_depth"), get_global_attribute("unknown", 0)
        (2, 0)
        >>> set_global_attribute("my_library_depth", None)
    """
    value = _scopes.attributes.get(name)
    if value is None:
        value = default
        if set_to_default and default is not None:
            _scopes.attributes[name] = default
    return value


def set_global_attribute(name: str, value: Any) -> None:
    """Keep a value under a name on this thread until `clear_session`; `None` forgets it."""
    if value is None:
        _scopes.attributes.pop(name, None)
    else:
        _scopes.attributes[name] = value


def at_clear_session(hook: Callable[[], None]) -> Callable[[], None]:
    """Have `hook` called by `clear_session`; usable as a decorator."""
    _clear_hooks.append(hook)
    return hook


def run_clear_session_hooks() -> None:
    """Reset the switches of this module and all state registered with `at_clear_session`."""
    _scopes.attributes.clear()
    for hook in _clear_hooks:
        hook()


def keras_home() -> str:
    """Folder of Keras's settings, datasets and downloaded weights (it need not exist)."""
    if "KERAS_HOME" in os.environ:
        return os.environ["KERAS_HOME"]
    home = os.path.expanduser("~")
    return os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")


def default_device() -> torch.device:
    """Device on which new weights and converted data are placed.

    Example:
        >>> with torch.device("meta"):
        ...     default_device()
        device(type='meta')
    """
    if _mode_depth():
        for mode in reversed(_get_current_function_mode_stack()):
            if isinstance(mode, DeviceContext):
                return mode.device
    scope = _scopes.device
    if scope is not None:
        return scope
    global _fallback_device
    if _fallback_device is None:
        name = os.environ.get("KERAS_TORCH_DEVICE") or (
            "cuda" if torch.cuda.is_available() else "cpu"
        )
        _fallback_device = _parse_device(name)
    return _fallback_device


def _parse_device(name: str | torch.device) -> torch.device:
    if isinstance(name, torch.device):
        return name
    if not isinstance(name, str):
        raise ValueError(
            "A device must be a string such as 'gpu:0', 'cuda' or 'cpu', or a torch.device. "
            f"Received: device_name='{name}' (of type {type(name).__name__})"
        )
    return torch.device(name.lower().replace("gpu", "cuda"))


class _DeviceScope:
    """What `device` returns: a context that may be entered more than once."""

    def __init__(self, place: torch.device) -> None:
        self.device = place
        self._previous: list[torch.device | None] = []

    def __enter__(self) -> torch.device:
        self._previous.append(_scopes.device)
        _scopes.device = self.device
        return self.device

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _scopes.device = self._previous.pop()


def device(device_name: str | torch.device) -> _DeviceScope:
    """Open a context in which new weights and converted data are placed on one device.

    Args:
        device_name: `"cpu"`, `"gpu:0"`, `"cuda:1"`, `"meta"`, … or a `torch.device`.

    Raises:
        ValueError: Neither a string nor a `torch.device`.
        RuntimeError: PyTorch knows no such device.

    Example:
        >>> with device("cpu:0") as place:
        ...     default_device() == place
        True
    """
    return _DeviceScope(_parse_device(device_name))


def _read_settings_file() -> None:
    path = os.path.join(os.path.expanduser(keras_home()), "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        if not isinstance(stored, dict):
            raise ValueError(f"the file holds a {type(stored).__name__}, expected an object")
        if "floatx" in stored:
            set_floatx(stored["floatx"])
        if "epsilon" in stored:
            if not isinstance(stored["epsilon"], float):
                raise ValueError(f"`epsilon` is {stored['epsilon']!r}, expected a float")
            set_epsilon(stored["epsilon"])
        if "image_data_format" in stored:
            set_image_data_format(stored["image_data_format"])
    except OSError:
        return
    except ValueError as error:
        warnings.warn(f"Settings in {path} were ignored: {error}", stacklevel=2)


def _read_environment() -> None:
    for variable, setter in (
        ("KERAS_MAX_EPOCHS", set_max_epochs),
        ("KERAS_MAX_STEPS_PER_EPOCH", set_max_steps_per_epoch),
    ):
        text = os.environ.get(variable)
        if text:
            try:
                setter(int(text))
            except ValueError:
                raise ValueError(
                    f"The environment variable {variable} is {text!r}; "
                    "expected an integer of at least 0, or nothing."
                ) from None


_read_settings_file()
_read_environment()
