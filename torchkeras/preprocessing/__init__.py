"""`keras.preprocessing`: so far the padding of sequences."""

from . import sequence

__all__ = ["sequence"]

_LATER = (
    "image",
    "image_dataset_from_directory",
    "text",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
)


def __getattr__(name: str) -> object:
    if name in _LATER:
        raise AttributeError(f"torchkeras does not provide `keras.preprocessing.{name}` yet.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
