"""Batches of images for `ImageDataGenerator`: of arrays, of files in folders, of files in a table.

They are `PyDataset`s, so `fit` takes them, and endless iterators as well: `next(iterator)` gives
the next batch. All draws are NumPy's `np.random`, in Keras's order: with a seed, the images of a
batch are those of Keras. Files are decoded by threads; what is drawn is drawn in one.

Letters: B images in a batch, H height, W width, C channels.
Source: `tf.keras.preprocessing.image` for names, defaults, files and results.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator as AnyIterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..callbacks.console import print_msg
from ..config import floatx, standardize_data_format
from ..naming import explain
from ..utils import PyDataset
from ..utils.images import array_to_img, img_to_array, load_img

__all__ = ["DataFrameIterator", "DirectoryIterator", "Iterator", "NumpyArrayIterator"]

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
# Kinds of targets that are not numbers of classes.
_WITHOUT_CLASSES = ("input", "multi_output", "raw", None)
_READERS = min(4, os.cpu_count() or 1)


class Iterator(PyDataset):
    """Base class: batches of `n` samples by their numbers.

    A subclass defines `_get_batches_of_transformed_samples(index_array)`.

    Args:
        n: Number of samples.
        batch_size: Samples in a batch; the last of a pass may have fewer.
        shuffle: Whether each pass has an order of its own.
        seed: For all draws; batch after batch starts from the next number. `None` leaves NumPy's
            generator as it is.
        kwargs: Of `PyDataset`.
    """

    white_list_formats = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")

    def __init__(
        self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.n = n
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, lock=threading.Lock())

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _begin_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def __len__(self) -> int:
        """Number of batches in a pass."""
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        """Return the batch of this number, in the order of the present pass."""
        if idx >= len(self):
            raise ValueError(
                explain(f"There is no batch {idx}.", batches=len(self), fix="count from 0.")
            )
        self._begin_batch()
        if self.index_array is None:
            self._set_index_array()
        start = self.batch_size * idx
        return self._get_batches_of_transformed_samples(
            self.index_array[start : start + self.batch_size]
        )

    def on_epoch_end(self) -> None:
        """Choose the order of the next pass."""
        self._set_index_array()

    def reset(self) -> None:
        """Let the next batch be the first of a new pass."""
        self.batch_index = 0

    def __iter__(self) -> AnyIterator[Any]:
        return self

    def __next__(self) -> Any:
        """Return the next batch; after the last of a pass comes the first of the next."""
        with self.lock:
            first = self.batch_index == 0
            self._begin_batch()
            if first or self.index_array is None:
                self._set_index_array()
            start = self.batch_index * self.batch_size % max(1, self.n)
            self.batch_index = self.batch_index + 1 if start + self.batch_size < self.n else 0
            index_array = self.index_array[start : start + self.batch_size]
        return self._get_batches_of_transformed_samples(index_array)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        """Return the batch of these samples."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `_get_batches_of_transformed_samples`."
        )

    def _save(self, batch: np.ndarray, index_array: np.ndarray, largest: int) -> None:
        """Write the images of a batch, where a folder was given for them."""
        if not self.save_to_dir:
            return
        for x, index in zip(batch, index_array, strict=True):
            image = array_to_img(x, self.data_format, scale=True)
            name = f"{self.save_prefix}_{index}_{np.random.randint(largest)}.{self.save_format}"
            image.save(os.path.join(self.save_to_dir, name))


class NumpyArrayIterator(Iterator):
    """Batches of images from an array.

    Args:
        x: Images of rank 4; or a pair of these and one or more further inputs, which stay as they
            are.
        y: Targets, or `None`.
        image_data_generator: The `ImageDataGenerator` that changes the images.
        batch_size: Images in a batch.
        shuffle: Whether each pass has an order of its own.
        sample_weight: One for each image, or `None`.
        seed: For all draws.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        save_to_dir: Folder for the changed images; `None` writes none.
        save_prefix, save_format: Of their names.
        subset: `"training"` or `"validation"`, as the generator's `validation_split` divides them.
        ignore_class_split: Whether the two may hold different targets.
        dtype: Of the images; by default `config.floatx()`.

    Raises:
        ValueError: Lengths that differ, another rank or subset, subsets without the same targets.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ) -> None:
        self.dtype = floatx() if dtype is None else dtype
        self.data_format = standardize_data_format(data_format)
        others: list[np.ndarray] = []
        if isinstance(x, (tuple, list)):
            x, further = x
            others = [np.asarray(other) for other in _as_list(further)]
        y = None if y is None else np.asarray(y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        sizes = {"x[1]": others, "y": [y], "sample_weight": [weights]}
        for name, arrays in sizes.items():
            _check_lengths(x, name, [array for array in arrays if array is not None])
        if subset is not None:
            kept = _part(len(x), image_data_generator._validation_split, subset)
            if y is not None and not ignore_class_split:
                _check_classes(y, image_data_generator._validation_split)
            x, others = x[kept], [other[kept] for other in others]
            y = None if y is None else y[kept]
            weights = None if weights is None else weights[kept]  # which Keras forgets
        self.x = np.asarray(x, dtype=self.dtype)
        self.x_misc, self.y = others, y
        self.sample_weight = weights
        if self.x.ndim != 4:
            raise ValueError(
                explain(
                    "NumpyArrayIterator: the images should have rank 4.",
                    shape=self.x.shape,
                    expected="(images, height, width, channels), or channels before height",
                )
            )
        warn_of_channels(self.x, self.data_format)
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix = save_to_dir, save_prefix
        self.save_format = save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.x.shape[1:]), dtype=self.dtype)
        generator = self.image_data_generator
        for row, index in zip(batch, index_array, strict=True):
            x = self.x[index]
            params = generator.get_random_transform(x.shape)
            row[...] = generator.standardize(generator.apply_transform(x.copy(), params))
        self._save(batch, index_array, 10_000)
        x = [batch, *(other[index_array] for other in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return x
        if self.sample_weight is None:
            return x, self.y[index_array]
        return x, self.y[index_array], self.sample_weight[index_array]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_lengths(x: Any, name: str, arrays: Sequence[Any]) -> None:
    if any(len(array) != len(x) for array in arrays):
        raise ValueError(
            explain(
                f"ImageDataGenerator: the images and `{name}` should have the same length.",
                images=len(x),
                **{name: ", ".join(str(len(array)) for array in arrays)},
            )
        )


def _part(total: int, validation_split: float, subset: str) -> slice:
    """The samples of a subset; those for validation come first."""
    if subset not in ("training", "validation"):
        raise ValueError(f'Invalid subset name: {subset!r}. Expected "training" or "validation".')
    held_out = int(total * validation_split)
    return slice(held_out) if subset == "validation" else slice(held_out, None)


def _check_classes(y: np.ndarray, validation_split: float) -> None:
    held_out = int(len(y) * validation_split)
    if not np.array_equal(np.unique(y[:held_out]), np.unique(y[held_out:])):
        raise ValueError(
            explain(
                "ImageDataGenerator: training and validation would have a different number of"
                " classes.",
                validation_split=validation_split,
                fix="shuffle the samples first, or pass `ignore_class_split=True`.",
            )
        )


def warn_of_channels(x: np.ndarray, data_format: str) -> None:
    """Warn of images that do not have 1, 3 or 4 channels."""
    channels = x.shape[3 if data_format == "channels_last" else 1]
    if channels not in (1, 3, 4):
        warnings.warn(
            f"Images of shape {x.shape} have {channels} channels by the data format"
            f' "{data_format}"; expected 1, 3 or 4.',
            stacklevel=3,
        )


# Files --------------------------------------------------------------------------------------------


class _FileIterator(Iterator):
    """What folders and tables have in common: images are files, targets are of a kind.

    Args:
        image_data_generator: The `ImageDataGenerator` that changes the images; `None` for none.
        target_size: `(H, W)` to which images are brought.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        class_mode: `"categorical"` for rows with a one, `"binary"` or `"sparse"` for numbers of
            classes, `"input"` for the images themselves, `None` for no targets; of tables also
            `"raw"` for what stands there, and `"multi_output"` for a list of it.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        save_to_dir: Folder for the changed images; `None` writes none.
        save_prefix, save_format: Of their names.
        subset: `"training"` or `"validation"`, as the generator's `validation_split` divides them.
        interpolation, keep_aspect_ratio: As for `load_img`.
        dtype: Of images and classes; by default `config.floatx()`.
    """

    allowed_class_modes: tuple[str | None, ...]
    filenames: list[str]

    def _set_up(
        self,
        *,
        image_data_generator: Any,
        target_size: Sequence[int],
        color_mode: str,
        class_mode: str | None,
        data_format: str | None,
        save_to_dir: str | None,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: Any,
    ) -> None:
        if color_mode not in _CHANNELS:
            raise ValueError(
                f"Invalid color mode: {color_mode!r}. Expected one of {', '.join(_CHANNELS)}."
            )
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"Invalid class_mode: {class_mode!r}. Expected one of {self.allowed_class_modes}."
            )
        self.image_data_generator = image_data_generator
        self.target_size = tuple(target_size)
        self.color_mode, self.class_mode = color_mode, class_mode
        self.data_format = standardize_data_format(data_format)
        channels = (_CHANNELS[color_mode],)
        is_last = self.data_format == "channels_last"
        self.image_shape = self.target_size + channels if is_last else channels + self.target_size
        self.save_to_dir, self.save_prefix = save_to_dir, save_prefix
        self.save_format = save_format
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        self.dtype = floatx() if dtype is None else dtype
        self.subset = subset
        self.split = None
        if subset is not None:
            _part(0, 0.0, subset)  # knows the names
            held_out = image_data_generator._validation_split
            self.split = (0, held_out) if subset == "validation" else (held_out, 1)

    def _kept(self, items: Any) -> Any:
        """Of a list, or a table's rows, those of the subset."""
        if self.split is None:
            return items
        start, stop = (int(fraction * len(items)) for fraction in self.split)
        return items[start:stop]

    @property
    def filepaths(self) -> list[str]:
        """The files, with the folder's name."""
        return [os.path.join(self.directory, name) for name in self.filenames]

    def _load(self, path: str) -> np.ndarray:
        image = load_img(
            path,
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
            keep_aspect_ratio=self.keep_aspect_ratio,
        )
        return img_to_array(image, data_format=self.data_format)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.image_shape), dtype=self.dtype)
        paths = [os.path.join(self.directory, self.filenames[index]) for index in index_array]
        generator = self.image_data_generator
        with ThreadPoolExecutor(_READERS) as pool:
            for row, x in zip(batch, pool.map(self._load, paths), strict=True):
                if generator:
                    params = generator.get_random_transform(x.shape)
                    x = generator.standardize(generator.apply_transform(x, params))
                row[...] = x
        self._save(batch, index_array, 10_000_000)
        if self.class_mode is None:
            return batch
        y = self._targets_of(batch, index_array)
        weights = self.sample_weight
        return (batch, y) if weights is None else (batch, y, weights[index_array])

    def _targets_of(self, batch: np.ndarray, index_array: np.ndarray) -> Any:
        if self.class_mode == "input":
            return batch.copy()
        if self.class_mode == "raw":
            return self.labels[index_array]
        if self.class_mode == "multi_output":
            return [output[index_array] for output in self.labels]
        classes = [self.classes[index] for index in index_array]
        if self.class_mode in ("binary", "sparse"):
            return np.array(classes, dtype=self.dtype)
        rows = np.zeros((len(batch), len(self.class_indices)), dtype=self.dtype)
        for row, numbers in zip(rows, classes, strict=True):
            row[numbers] = 1  # one class, or a list of several
        return rows


class DirectoryIterator(_FileIterator):
    """Batches of images from a folder with a subfolder per class.

    Args:
        directory: The folder.
        image_data_generator: The `ImageDataGenerator` that changes the images; `None` for none.
        target_size, color_mode, class_mode: As for `ImageDataGenerator.flow_from_directory`.
        classes: The subfolders, in the order of their numbers; by default all, sorted.
        batch_size, shuffle, seed: As for `NumpyArrayIterator`.
        data_format, save_to_dir, save_prefix, save_format: As for `NumpyArrayIterator`.
        follow_links: Whether to enter folders that are symbolic links.
        subset, dtype: As for `NumpyArrayIterator`.
        interpolation, keep_aspect_ratio: As for `load_img`.

    Raises:
        ValueError: An unknown mode or subset.
    """

    allowed_class_modes = ("categorical", "binary", "sparse", "input", None)
    sample_weight = None

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
    ) -> None:
        self._set_up(
            image_data_generator=image_data_generator,
            target_size=target_size,
            color_mode=color_mode,
            class_mode=class_mode,
            data_format=data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=dtype,
        )
        self.directory = os.fspath(directory)
        if not classes:
            classes = sorted(e.name for e in os.scandir(self.directory) if e.is_dir())
        self.num_classes = len(classes)
        self.class_indices = {name: number for number, name in enumerate(classes)}
        found = [self._kept(list(self._files(name, follow_links))) for name in classes]
        self.filenames = [path for paths in found for path in paths]
        numbers = [self.class_indices[name] for name in classes]
        self.classes = np.repeat(np.array(numbers, "int32"), [len(paths) for paths in found])
        self.samples = len(self.filenames)
        print_msg(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> np.ndarray:
        """The class of each file."""
        return self.classes

    def _files(self, folder: str, follow_links: bool) -> AnyIterator[str]:
        top = os.path.join(self.directory, folder)
        for root, _, names in sorted(os.walk(top, followlinks=follow_links)):
            for name in sorted(names):
                if name.lower().endswith(self.white_list_formats):
                    inside = os.path.relpath(os.path.join(root, name), top)
                    yield os.path.join(os.path.basename(top), inside)


class DataFrameIterator(_FileIterator):
    """Batches of images from files that a pandas table names.

    Args:
        dataframe: The table.
        directory: Folder that the names are relative to; `None` if they are whole paths.
        image_data_generator: The `ImageDataGenerator` that changes the images; `None` for none.
        x_col: Column of the names.
        y_col: Column of the targets, or a list of columns.
        weight_col: Column of the sample weights, or `None`.
        target_size, color_mode, class_mode: As for `ImageDataGenerator.flow_from_dataframe`.
        classes: Names of classes, in the order of their numbers; by default all, sorted.
        batch_size, shuffle, seed: As for `NumpyArrayIterator`.
        data_format, save_to_dir, save_prefix, save_format: As for `NumpyArrayIterator`.
        subset, dtype: As for `NumpyArrayIterator`.
        interpolation, keep_aspect_ratio: As for `load_img`.
        validate_filenames: Whether to leave out, with a warning, what is no image file.

    Raises:
        TypeError: Columns whose values do not go with `class_mode`.
        ValueError: An unknown mode or subset, or other than two classes for `"binary"`.
    """

    allowed_class_modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = "float32",
        validate_filenames: bool = True,
    ) -> None:
        self._set_up(
            image_data_generator=image_data_generator,
            target_size=target_size,
            color_mode=color_mode,
            class_mode=class_mode,
            data_format=data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=dtype,
        )
        self.directory = os.fspath(directory or "")
        table = dataframe.copy()
        self._check_columns(table, x_col, y_col, weight_col, classes)
        if validate_filenames:
            table = self._with_files(table, x_col)
        has_classes = class_mode not in _WITHOUT_CLASSES
        if has_classes:
            table, names = _with_classes(table, y_col, classes)
            self.class_indices = {name: number for number, name in enumerate(names)}
        table = self._kept(table)
        if has_classes:
            self.classes = [self._numbers(label) for label in table[y_col]]
        elif class_mode == "multi_output":
            self._targets: Any = [np.array(table[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._targets = table[y_col].to_numpy()
        self.filenames = table[x_col].tolist()
        self.samples = len(self.filenames)
        self.sample_weight = table[weight_col].to_numpy() if weight_col else None
        found = f"{'' if validate_filenames else 'non-'}validated image filenames"
        ending = f" belonging to {len(self.class_indices)} classes" if has_classes else ""
        print_msg(f"Found {self.samples} {found}{ending}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> Any:
        """The targets: what the table holds, or numbers of classes."""
        is_raw = self.class_mode in ("multi_output", "raw")
        return self._targets if is_raw else self.classes

    def _check_columns(
        self, table: Any, x_col: str, y_col: Any, weight_col: str | None, classes: Any
    ) -> None:
        mode = self.class_mode
        if mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(
                f'If class_mode="multi_output", y_col must be a list. Received: {y_col!r}'
            )
        if not all(isinstance(name, str) for name in table[x_col]):
            raise TypeError(f"All values in column x_col={x_col} must be strings.")
        kinds = {"binary": (str,), "sparse": (str,), "categorical": (str, list, tuple)}.get(mode)
        if kinds and not all(isinstance(label, kinds) for label in table[y_col]):
            allowed = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(
                explain(
                    f'If class_mode="{mode}", y_col="{y_col}" column values must be of type'
                    f" {allowed}.",
                    fix='convert the column to strings, or take class_mode="raw" for numbers.',
                )
            )
        if mode == "binary":
            count = len(set(classes)) if classes else table[y_col].nunique()
            if count != 2:
                raise ValueError(
                    f'If class_mode="binary" there must be 2 classes. Found {count} classes.'
                )
        if classes and mode in _WITHOUT_CLASSES:
            warnings.warn(f'`classes` will be ignored given the class_mode="{mode}".', stacklevel=4)
        if weight_col and table[weight_col].dtype.kind not in "iuf":
            raise TypeError(f"Column weight_col={weight_col} must be numeric.")

    def _with_files(self, table: Any, x_col: str) -> Any:
        paths = [os.path.join(self.directory, name) for name in table[x_col]]
        formats = self.white_list_formats
        valid = [path.lower().endswith(formats) and os.path.isfile(path) for path in paths]
        missing = len(valid) - sum(valid)
        if missing:
            warnings.warn(
                f'Found {missing} invalid image filename(s) in x_col="{x_col}". These filename(s)'
                " will be ignored.",
                stacklevel=4,
            )
        return table[valid]

    def _numbers(self, label: Any) -> Any:
        if isinstance(label, (list, tuple)):
            return [self.class_indices[name] for name in label]
        return self.class_indices[label]


def _with_classes(table: Any, y_col: str, classes: Sequence[str] | None) -> tuple[Any, list[str]]:
    """Leave out rows without any of the classes; return the table and the names of classes."""
    labels = [label if isinstance(label, (list, tuple)) else [label] for label in table[y_col]]
    if not classes:
        return table, sorted({name for names in labels for name in names})
    names = list(dict.fromkeys(classes))
    kept: list[Any] = []
    for label, found in zip(table[y_col], labels, strict=True):
        known = [name for name in found if name in names]
        kept.append(known if isinstance(label, (list, tuple)) else (known or [None])[0])
    is_known = [bool(label) for label in kept]
    table = table[is_known].copy()
    table[y_col] = [label for label in kept if label]
    return table, names
