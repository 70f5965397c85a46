"""Data from the files of a folder: `image_`, `text_` and `audio_dataset_from_directory`.

Letters: B samples in a batch, H height, W width, C channels, T samples of sound.
Classes are the subfolders, in alphabetical order. Files are read when their batch is made. Where
Keras makes a `tf.data.Dataset`, these make a `Pipeline` with its methods, such as `map` and
`prefetch`: numbers are tensors on the CPU, texts NumPy arrays of strings. Batches are made ahead by
threads. With the same seed, the files of a subset are those of Keras.
Sources: `keras.utils` for names, defaults, and which file is in which subset.
"""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from ..callbacks.console import print_msg
from ..config import standardize_data_format
from ..naming import explain
from ..ops.image import resize
from .images import GRAY, load_img, read_image
from .pipelines import WORKERS, BatchDataset, shown

__all__ = [
    "FolderDataset",
    "audio_dataset_from_directory",
    "image_dataset_from_directory",
    "text_dataset_from_directory",
]

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
# Shares of red, green and blue in the shades of gray that libpng makes, in 1/2**15.
_LUMINANCE = np.array([9797, 19234, 3737], dtype="int32")
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


class FolderDataset(BatchDataset):
    """What is in the files of a folder, batch by batch; `fit` takes it.

    Args:
        paths: The files.
        labels: One for each, or `None`.
        class_names: What the labels mean, or `None`.
        load: Reads a file.
        collate: Makes a batch of what `load` returned.
        sample_shape: Of what `load` returns, with `None` where files differ; `None` if none do.
        options: Those of `BatchDataset`.
    """

    def __init__(
        self,
        paths: Sequence[str],
        labels: torch.Tensor | None,
        class_names: list[str] | None,
        load: Callable[[str], Any],
        collate: Callable[[list[Any]], Any],
        sample_shape: tuple[int | None, ...] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(len(paths), **options)
        self.sample_shape = sample_shape
        self.file_paths = list(paths)
        self.class_names = class_names
        self._labels, self._load, self._collate = labels, load, collate

    def _batch(self, indices: np.ndarray) -> Any:
        x = self._collate([self._load(self.file_paths[index]) for index in indices])
        return x if self._labels is None else (x, self._labels[torch.from_numpy(indices)])

    def _sample(self, index: int) -> Any:
        x = self._load(self.file_paths[index])
        return x if self._labels is None else (x, self._labels[index])


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Make batches of the images in a folder.

    Args:
        directory: The folder, with a subfolder per class. Images are `.jpg`, `.jpeg`, `.png`,
            `.bmp` and `.gif`, of which the first frame counts.
        labels: `"inferred"` from the subfolders; a list of integers, in the order of the paths; or
            `None`.
        label_mode: `"int"` gives int32 labels `(B,)`, `"categorical"` float32 rows with a one
            `(B, classes)`, `"binary"` zeros and ones `(B, 1)`, `None` no labels.
        class_names: The subfolders, in the order of the labels.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        batch_size: Images in a batch; `None` gives single images.
        image_size: `(H, W)` to which images are brought.
        shuffle: Whether their order is random.
        seed: For that order and for the split; by default NumPy's generator gives one.
        validation_split: The fraction of the files that is kept for validation.
        subset: `"training"`, `"validation"`, or `"both"` for a list of the two.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        follow_links: Whether to enter folders that are symbolic links.
        crop_to_aspect_ratio: Cut the edges first, so that nothing is distorted.
        pad_to_aspect_ratio: Add edges instead.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        format: `"tf"` shuffles each pass anew, `"grain"` gives all passes the same order, as these
            libraries do; the dataset is neither's.
        verbose: Whether to print how many files there are.

    Returns: A dataset of float32 images `(B, H, W, C)`, with labels if there are any, and with the
        attributes `class_names` and `file_paths`.

    Raises:
        ValueError: An argument is out of range or does not go with another; no images; numbers of
            labels and images that differ.
        ImportError: Pillow is not installed.
    """
    if color_mode not in _CHANNELS:
        raise ValueError(
            '`color_mode` must be one of {"rgb", "rgba", "grayscale"}. Received:'
            f" color_mode={color_mode}"
        )
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ValueError(
            "Invalid `image_size` value. Expected a tuple of 2 integers. Received:"
            f" image_size={image_size}"
        )
    interpolation = interpolation.lower()
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"Argument `interpolation` should be one of {_INTERPOLATIONS}. Received:"
            f" interpolation={interpolation}"
        )
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio`, `crop_to_aspect_ratio` can be set to `True`."
        )
    data_format = standardize_data_format(data_format)

    def load(path: str) -> torch.Tensor:
        as_tensorflow = color_mode == "grayscale" and format == "tf"
        image = _gray(path) if as_tensorflow else load_img(path, color_mode)
        image = np.array(image, dtype="float32")
        image = torch.from_numpy(image[:, :, None] if image.ndim == 2 else image)
        return resize(
            image if data_format == "channels_last" else image.permute(2, 0, 1),
            tuple(size),
            interpolation=interpolation,
            crop_to_aspect_ratio=crop_to_aspect_ratio,
            pad_to_aspect_ratio=pad_to_aspect_ratio,
            data_format=data_format,
        )

    return _Folder("images", _IMAGES, directory, labels, label_mode, class_names).dataset(
        load,
        torch.stack,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        format=format,
        verbose=verbose,
        workers=WORKERS,
    )


def _gray(path: str) -> Any:
    """Read an image in shades of gray: those of libpng where it has colors, as in TensorFlow."""
    image = read_image(path)
    if image.mode in GRAY:
        return image
    return np.asarray(image.convert("RGB"), dtype="int32") @ _LUMINANCE >> 15


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Make batches of the texts in a folder.

    Args:
        directory: The folder, with a subfolder per class. Texts are `.txt` files in UTF-8.
        max_length: Characters to keep of each text.
        labels, label_mode, class_names: As for `image_dataset_from_directory`.
        batch_size, shuffle, seed, validation_split, subset: As for `image_dataset_from_directory`.
        follow_links, format, verbose: As for `image_dataset_from_directory`.

    Returns: A dataset of texts, NumPy arrays of strings `(B,)` that layers such as
        `TextVectorization` take, with labels if there are any; single texts are strings.

    Raises:
        ValueError: An argument is out of range or does not go with another; no texts; numbers of
            labels and texts that differ.
    """

    def load(path: str) -> str:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read() if max_length is None else file.read(max_length)

    return _Folder("text files", (".txt",), directory, labels, label_mode, class_names).dataset(
        load,
        lambda texts: np.array(texts, dtype=object),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        format=format,
        verbose=verbose,
        workers=WORKERS,
    )


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Make batches of the sounds in a folder.

    Args:
        directory: The folder, with a subfolder per class. Sounds are `.wav` files, PCM of 8, 16 or
            32 bits.
        sampling_rate: Samples per second to which sounds are brought, with torchaudio. Default:
            they stay as they are.
        output_sequence_length: Samples to which each sound is cut, or filled with zeros. Default:
            that of the longest in the batch.
        ragged: Give each sound its own length, in a nested tensor.
        labels, label_mode, class_names: As for `image_dataset_from_directory`.
        batch_size, shuffle, seed, validation_split, subset: As for `image_dataset_from_directory`.
        follow_links, verbose: As for `image_dataset_from_directory`.

    Returns: A dataset of float32 sounds `(B, T, C)` between -1 and 1, with labels if there are any.
        With `subset="both"`, two of them.

    Raises:
        ValueError: An argument is out of range or does not go with another; no sounds; numbers of
            labels and sounds that differ.
        ImportError: A `sampling_rate` without torchaudio.
    """
    if ragged and output_sequence_length is not None:
        raise ValueError("Cannot set both `ragged` and `output_sequence_length`.")
    if sampling_rate is not None:
        if not isinstance(sampling_rate, int) or sampling_rate <= 0:
            kind = "be higher than 0" if isinstance(sampling_rate, int) else "have an integer value"
            raise ValueError(
                f"`sampling_rate` should {kind}. Received: sampling_rate={sampling_rate}"
            )
    resample = None if sampling_rate is None else _resampler(sampling_rate)

    def load(path: str) -> torch.Tensor:
        return _read_wav(path, output_sequence_length, resample)

    def collate(sounds: list[torch.Tensor]) -> torch.Tensor:
        if ragged:
            return torch.nested.nested_tensor(sounds, layout=torch.jagged)
        return pad_sequence(sounds, batch_first=True)

    made = _Folder("audio files", (".wav",), directory, labels, label_mode, class_names).dataset(
        load,
        collate,
        sample_shape=(output_sequence_length, None),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        format="tf",
        verbose=verbose,
        workers=WORKERS,
    )
    return tuple(made) if isinstance(made, list) else made


def _resampler(sampling_rate: int) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Make a function that brings sounds `(T, C)` of some rate to another."""
    try:
        from torchaudio.functional import resample
    except ImportError as error:
        raise ImportError(
            explain(
                "To use the argument `sampling_rate`, for which Keras needs tensorflow_io, install"
                " torchaudio.",
                sampling_rate=sampling_rate,
                fix="`pip install torchaudio`, or bring the files to one rate beforehand.",
            )
        ) from error
    return lambda sound, rate: resample(sound.T, rate, sampling_rate).T


def _read_wav(
    path: str,
    length: int | None,
    resample: Callable[[torch.Tensor, int], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Read a PCM file as floats `(T, C)`, resampled, then cut or filled to `length`."""
    try:
        with wave.open(path, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            whole = length is None or resample is not None
            frames = file.readframes(file.getnframes() if whole else length)
    except (wave.Error, EOFError) as error:
        raise ValueError(
            explain(f"{path} is no WAV file that can be read: {error}.", expected="PCM")
        ) from error
    if width not in (1, 2, 4):
        raise ValueError(f"{path} has samples of {8 * width} bits; expected 8, 16 or 32.")
    if width == 1:  # from 0 to 255, all others have a sign
        values = np.frombuffer(frames, "u1").astype("float32") - 128
    else:
        values = np.frombuffer(frames, f"<i{width}").astype("float32")
    sound = torch.from_numpy(values.reshape(-1, channels) / 2.0 ** (8 * width - 1)).float()
    if resample is not None:
        sound = resample(sound, rate)
    missing = 0 if length is None else length - len(sound)
    return F.pad(sound, (0, 0, 0, missing)) if missing else sound


# Which files --------------------------------------------------------------------------------------


class _Folder:
    """The arguments that all kinds of files have in common.

    Args:
        what: The files, for messages.
        extensions: What their names end in.
        directory, labels, label_mode, class_names: As for `image_dataset_from_directory`.
    """

    def __init__(
        self,
        what: str,
        extensions: tuple[str, ...],
        directory: Any,
        labels: Any,
        label_mode: str | None,
        class_names: Sequence[str] | None,
    ) -> None:
        self.what, self.extensions, self.directory = what, extensions, os.fspath(directory)
        if labels not in ("inferred", None):
            if not isinstance(labels, (list, tuple)):
                raise ValueError(
                    "`labels` argument should be a list/tuple of integer labels, of the same size"
                    f" as the number of {what} in the folder, or 'inferred', or None. Received:"
                    f" labels={labels}"
                )
            if class_names:
                raise ValueError(
                    'You can only pass `class_names` if `labels="inferred"`. Received:'
                    f" labels={labels}, and class_names={class_names}"
                )
        if label_mode not in ("int", "categorical", "binary", None):
            raise ValueError(
                '`label_mode` argument must be one of "int", "categorical", "binary", or None.'
                f" Received: label_mode={label_mode}"
            )
        is_labelled = labels is not None and label_mode is not None
        self.labels = labels if is_labelled else None
        self.label_mode = label_mode if is_labelled else None
        self.class_names = None if class_names is None else list(class_names)

    def dataset(
        self,
        load: Callable[[str], Any],
        collate: Callable[[list[Any]], Any],
        *,
        shuffle: bool,
        seed: int | None,
        validation_split: float | None,
        subset: str | None,
        follow_links: bool,
        format: str,
        verbose: bool,
        **options: Any,
    ) -> Any:
        """Make the dataset, or a list of two for `subset="both"`."""
        if format not in ("tf", "grain"):
            raise ValueError(
                f'`format` should be either "tf" or "grain". Received: format={format}'
            )
        _check_split(validation_split, subset, shuffle, seed)
        if seed is None:
            seed = int(np.random.randint(1e6))
        paths, labels = self._index(shuffle, seed, follow_links, verbose)
        targets = self._targets(labels)
        parts = []
        for part in ("training", "validation") if subset == "both" else (subset,):
            chosen = _chosen(len(paths), part, validation_split)
            if part is not None:
                aim = "training" if part == "training" else "validation"
                print_msg(f"Using {len(chosen)} files for {aim}.")
            if not chosen:
                kind = f"{part} {self.what}" if subset == "both" else self.what
                raise ValueError(
                    f"No {kind} found in directory {self.directory}. Allowed formats:"
                    f" {', '.join(self.extensions)}"
                )
            shuffled = shuffle and not (subset == "both" and part == "validation")
            made = FolderDataset(
                paths[chosen.start : chosen.stop],
                None if targets is None else targets[chosen.start : chosen.stop],
                self.class_names,
                load,
                collate,
                seed=seed if shuffled else None,
                reshuffle=format == "tf",
                **options,
            )
            parts.append(shown(made, format))
        return parts if subset == "both" else parts[0]

    def _index(
        self, shuffle: bool, seed: int, follow_links: bool, verbose: bool
    ) -> tuple[list[str], np.ndarray | None]:
        """List the files and their labels; settle `class_names`."""
        folders = self._folders()
        files = [list(self._files(folder, follow_links)) for folder in folders]
        paths = [os.path.join(self.directory, path) for found in files for path in found]
        labels: np.ndarray | None = None
        if self.labels == "inferred":
            self.class_names = folders
            labels = np.repeat(np.arange(len(folders)), [len(found) for found in files])
        elif self.labels is not None:
            if len(self.labels) != len(paths):
                raise ValueError(
                    "Expected the lengths of `labels` to match the number of files in the target"
                    f" directory. len(labels) is {len(self.labels)} while we found {len(paths)}"
                    f" files in directory {self.directory}."
                )
            self.class_names = [str(label) for label in sorted(set(self.labels))]
            labels = np.asarray(self.labels)
        if verbose:
            classes = "" if labels is None else f" belonging to {len(self.class_names)} classes"
            print_msg(f"Found {len(paths)} files{classes}.")
        if self.label_mode == "binary" and len(self.class_names) != 2:
            raise ValueError(
                'When passing `label_mode="binary"`, there must be exactly 2 class_names. Received:'
                f" class_names={self.class_names}"
            )
        if shuffle:  # by the same draws as Keras, so that subsets hold the same files
            order = np.arange(len(paths))
            np.random.RandomState(seed).shuffle(order)
            paths = [paths[i] for i in order]
            labels = None if labels is None else labels[order]
        return paths, labels

    def _folders(self) -> list[str]:
        """The folders of the classes; the whole folder where these do not count."""
        if self.labels != "inferred":
            if self.class_names is not None:
                raise ValueError(
                    "When `labels=None` (no labels), argument `class_names` cannot be specified."
                )
            return [""]
        entries = sorted(os.scandir(self.directory), key=lambda entry: entry.name)
        found = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
        if self.class_names is None:
            return found
        if not set(self.class_names) <= set(found):
            raise ValueError(
                "The `class_names` passed did not match the names of the subdirectories of the"
                f" target directory. Expected: {found} (or a subset of it), but received:"
                f" class_names={self.class_names}"
            )
        return self.class_names

    def _files(self, folder: str, follow_links: bool) -> Iterator[str]:
        top = os.path.join(self.directory, folder)
        for root, _, names in sorted(os.walk(top, followlinks=follow_links)):
            for name in sorted(names):
                if name.lower().endswith(self.extensions):
                    yield os.path.relpath(os.path.join(root, name), self.directory)

    def _targets(self, labels: np.ndarray | None) -> torch.Tensor | None:
        if labels is None:
            return None
        values = torch.from_numpy(labels.astype("int32"))
        if self.label_mode == "binary":
            return values.float()[:, None]
        if self.label_mode == "categorical":
            return F.one_hot(values.long(), len(self.class_names)).float()
        return values


def _check_split(
    validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None
) -> None:
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(
            f"`validation_split` must be between 0 and 1, received: {validation_split}"
        )
    if bool(validation_split) != bool(subset):
        raise ValueError("If `subset` is set, `validation_split` must be set, and inversely.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f'`subset` must be either "training", "validation" or "both", received: {subset}'
        )
    if validation_split and shuffle and seed is None:
        raise ValueError(
            "If using `validation_split` and shuffling the data, you must provide a `seed`"
            " argument, to make sure that there is no overlap between the training and validation"
            " subset."
        )


def _chosen(count: int, subset: str | None, validation_split: float | None) -> range:
    """The numbers of the files in a subset; those for validation are the last."""
    if subset is None:
        return range(count)
    held_out = int((validation_split or 0) * count)
    return range(count - held_out) if subset == "training" else range(count - held_out, count)
