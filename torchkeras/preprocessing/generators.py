"""`ImageDataGenerator`: images changed at random and normalized, batch by batch.

Scripts for Keras 2 go on using it; Keras 3's successor are layers such as `keras.layers.RandomZoom`
and `keras.utils.image_dataset_from_directory`. Images are changed one by one in NumPy and torch on
the CPU. Source: `tf.keras.preprocessing.image` for names, defaults, draws and results.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import floatx, standardize_data_format
from ..naming import explain
from .iterators import DataFrameIterator, DirectoryIterator, NumpyArrayIterator, warn_of_channels
from .transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    pair,
)

__all__ = ["ImageDataGenerator"]

_EPSILON = 1e-6  # added to standard deviations


class ImageDataGenerator:
    """Changes images at random, normalizes them, and makes batches of them for `fit`.

    Args:
        featurewise_center: Subtract the mean of all images, by channel; needs `fit`.
        samplewise_center: Subtract each image's own mean.
        featurewise_std_normalization: Divide by the deviation of all images, by channel; needs
            `fit`, and implies `featurewise_center`.
        samplewise_std_normalization: Divide by each image's own; implies `samplewise_center`.
        zca_whitening: Make the pixels uncorrelated; needs `fit`, and implies `featurewise_center`.
        zca_epsilon: Added to its singular values.
        rotation_range: The largest angle, in degrees.
        width_shift_range, height_shift_range: The largest shift: a float below 1 is a fraction of
            the size, a larger one a number of pixels; an integer allows whole numbers of pixels
            below it, a sequence its members.
        brightness_range: The smallest factor and the largest.
        shear_range: The largest angle, in degrees.
        zoom_range: The smallest factor and the largest; one number `z` means `(1 - z, 1 + z)`.
        channel_shift_range: The largest number to add to all values.
        fill_mode, cval: What lies beyond the edges, as for `apply_affine_transform`.
        horizontal_flip, vertical_flip: Whether to mirror every other image.
        rescale: A factor for all values, applied after the changes; `None` for none.
        preprocessing_function: Applied to each image before it is normalized.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        validation_split: The fraction of the images that `subset="validation"` gives.
        interpolation_order: The `order` of `apply_affine_transform`.
        dtype: Of the images; by default `config.floatx()`.

    Raises:
        ValueError: A range that is no pair, a split that is no fraction, or another data format.

    Example:
        >>> generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
        >>> batches = generator.flow(np.full((6, 4, 4, 3), 255), np.arange(6), batch_size=4, seed=0)
        >>> x, y = next(batches)
        >>> x.shape, float(x.max()), y.shape, len(batches)
        ((4, 4, 4, 3), 1.0, (4,), 2)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ) -> None:
        # How an image is changed.
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.height_shift_range, self.width_shift_range = height_shift_range, width_shift_range
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.fill_mode, self.cval = fill_mode, cval
        self.interpolation_order = interpolation_order
        self.brightness_range, self.channel_shift_range = brightness_range, channel_shift_range
        # How it is normalized then.
        self.preprocessing_function, self.rescale = preprocessing_function, rescale
        self.samplewise_center = samplewise_center
        self.samplewise_std_normalization = samplewise_std_normalization
        self.featurewise_center = featurewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.dtype = floatx() if dtype is None else dtype
        self.data_format = standardize_data_format(data_format)
        last = self.data_format == "channels_last"
        # Axes of a batch; those of an image are less by one.
        self.row_axis, self.col_axis, self.channel_axis = (1, 2, 3) if last else (2, 3, 1)
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                f"`validation_split` must be strictly between 0 and 1. Received: {validation_split}"
            )
        self._validation_split = validation_split
        if isinstance(zoom_range, (int, float)):
            zoom_range = (1 - zoom_range, 1 + zoom_range)
        self.zoom_range = list(pair(zoom_range, "zoom_range"))
        if brightness_range is not None:
            pair(brightness_range, "brightness_range")
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None
        if zca_whitening:
            self._settle("featurewise_center", True, "zca_whitening")
            self._settle("featurewise_std_normalization", False, "zca_whitening")
        elif featurewise_std_normalization:
            self._settle("featurewise_center", True, "featurewise_std_normalization")
        if samplewise_std_normalization:
            self._settle("samplewise_center", True, "samplewise_std_normalization")

    def _settle(self, name: str, value: bool, because: str) -> None:
        """Set an option to what another one needs, with a warning if it was not."""
        if bool(getattr(self, name)) != value:
            warnings.warn(f"ImageDataGenerator: `{because}` sets `{name}={value}`.", stacklevel=3)
            setattr(self, name, value)

    # Batches --------------------------------------------------------------------------------------

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Make batches of images from an array.

        Args:
            x: Images of rank 4; or a pair of these and further inputs, which stay as they are.
            y: Targets, or `None`.
            batch_size: Images in a batch.
            shuffle: Whether each pass has an order of its own.
            sample_weight: One for each image, or `None`.
            seed: For all draws.
            save_to_dir: Folder for the changed images; `None` writes none.
            save_prefix, save_format: Of their names.
            ignore_class_split: Whether the subsets may hold different targets.
            subset: `"training"` or `"validation"`.

        Returns: An iterator over `x`, `(x, y)` or `(x, y, sample_weight)`, which `fit` takes.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            ignore_class_split=ignore_class_split,
            dtype=self.dtype,
        )

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Make batches of the images in a folder with a subfolder per class.

        Args:
            directory: The folder.
            target_size: `(H, W)` to which images are brought.
            color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
            classes: The subfolders, in the order of their numbers; by default all, sorted.
            class_mode: `"categorical"` for rows with a one, `"binary"` or `"sparse"` for numbers of
                classes, `"input"` for the images themselves, `None` for no targets.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format: As for `flow`.
            follow_links: Whether to enter folders that are symbolic links.
            subset: `"training"` or `"validation"`.
            interpolation, keep_aspect_ratio: As for `load_img`.

        Returns: An iterator over `x` or `(x, y)`, which `fit` takes.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
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
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Make batches of images from files that a pandas table names.

        Args:
            dataframe: The table.
            directory: Folder that the names are relative to; `None` if they are whole paths.
            x_col: Column of the names.
            y_col: Column of the targets, or a list of columns.
            weight_col: Column of the sample weights, or `None`.
            target_size, color_mode: As for `flow_from_directory`.
            classes: Names of classes, in the order of their numbers; by default all, sorted.
            class_mode: As for `flow_from_directory`; also `"raw"` for what stands in `y_col`, and
                `"multi_output"` for a list of what stands in its columns.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format: As for `flow`.
            subset, interpolation: As for `flow_from_directory`.
            validate_filenames: Whether to leave out, with a warning, what is no image file.
            kwargs: Old options, which are ignored with a warning.

        Returns: An iterator over `x`, `(x, y)` or `(x, y, sample_weight)`, which `fit` takes.
        """
        if class_mode == "other":
            kwargs[f"class_mode={class_mode!r}"], class_mode = None, "raw"
        for name in kwargs:
            fix = ', take class_mode="raw"' if name.startswith("class_mode") else ""
            warnings.warn(
                f"flow_from_dataframe: {name} is deprecated{fix}.", DeprecationWarning, stacklevel=2
            )
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            dtype=self.dtype,
            validate_filenames=validate_filenames,
        )

    # One image ------------------------------------------------------------------------------------

    def get_random_transform(
        self, img_shape: Sequence[int], seed: int | None = None
    ) -> dict[str, Any]:
        """Draw what `apply_transform` takes.

        Args:
            img_shape: Shape of the image.
            seed: For the draws; `None` goes on with NumPy's generator.

        Returns: Dict of angle `theta`, shifts `tx` and `ty` in pixels, angle `shear`, zooms `zx`
            and `zy`, `flip_horizontal`, `flip_vertical`, `channel_shift_intensity` and
            `brightness`.
        """
        if seed is not None:
            np.random.seed(seed)
        theta = _around_zero(self.rotation_range)
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = _around_zero(self.shear_range)
        low, high = self.zoom_range
        zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
        flips = [np.random.random() < 0.5, np.random.random() < 0.5]
        shift = _around_zero(self.channel_shift_range) if self.channel_shift_range else None
        bounds = self.brightness_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flips[0] * self.horizontal_flip,
            "flip_vertical": flips[1] * self.vertical_flip,
            "channel_shift_intensity": shift,
            "brightness": None if bounds is None else np.random.uniform(bounds[0], bounds[1]),
        }

    def apply_transform(self, x: Any, transform_parameters: Mapping[str, Any]) -> np.ndarray:
        """Change an image in a given way.

        Args:
            x: The image, of rank 3.
            transform_parameters: Any of the entries that `get_random_transform` returns.

        Returns: Array of the shape of `x`.
        """
        row_axis, col_axis, channel_axis = (
            self.row_axis - 1,
            self.col_axis - 1,
            self.channel_axis - 1,
        )
        neutral = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1}
        x = apply_affine_transform(
            x,
            **{name: transform_parameters.get(name, value) for name, value in neutral.items()},
            row_axis=row_axis,
            col_axis=col_axis,
            channel_axis=channel_axis,
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )
        if transform_parameters.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(
                x, transform_parameters["channel_shift_intensity"], channel_axis
            )
        if transform_parameters.get("flip_horizontal"):
            x = np.flip(x, col_axis)
        if transform_parameters.get("flip_vertical"):
            x = np.flip(x, row_axis)
        if transform_parameters.get("brightness") is not None:
            x = apply_brightness_shift(x, transform_parameters["brightness"], scale=False)
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Change an image at random.

        Args:
            x: The image, of rank 3.
            seed: For the draws; `None` goes on with NumPy's generator.

        Returns: Array of the shape of `x`.
        """
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Normalize an image, or a batch, as the options say.

        Args:
            x: Array of floats, which is changed in place.

        Returns: The result, which is `x` itself unless `preprocessing_function` or
            `zca_whitening` make another array.
        """
        prepare = self.preprocessing_function
        x = prepare(x) if prepare else x
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= x.mean()
        if self.samplewise_std_normalization:
            x /= x.std() + _EPSILON
        if self.featurewise_center and self._is_fitted(self.mean, "featurewise_center"):
            x -= self.mean
        name = "featurewise_std_normalization"
        if self.featurewise_std_normalization and self._is_fitted(self.std, name):
            x /= self.std + _EPSILON
        if self.zca_whitening and self._is_fitted(self.zca_whitening_matrix, "zca_whitening"):
            matrix = self.zca_whitening_matrix
            x = (x.reshape(-1, len(matrix)) @ matrix).reshape(x.shape)
        return x

    def _is_fitted(self, statistic: np.ndarray | None, option: str) -> bool:
        if statistic is None:
            warnings.warn(
                f"This ImageDataGenerator specifies `{option}`, but it hasn't been fit on any"
                " training data, so that the option has no effect. Call `.fit(images)` first.",
                stacklevel=3,
            )
        return statistic is not None

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Compute means, deviations and the whitening of images, for the options that need them.

        Args:
            x: Images of rank 4.
            augment: Whether to change them at random first.
            rounds: How many times each, then.
            seed: For the draws; `None` goes on with NumPy's generator.

        Raises:
            ValueError: Another rank.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(
                explain(
                    "Input to `.fit()` should have rank 4.",
                    shape=x.shape,
                    expected="(images, height, width, channels), or channels before height",
                )
            )
        warn_of_channels(x, self.data_format)
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            x *= self.rescale
        if augment:
            x = np.stack([self.random_transform(image) for _ in range(rounds) for image in x])
        all_but_channels = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=all_but_channels, keepdims=True)[0]
            x = x - self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=all_but_channels, keepdims=True)[0]
            x = x / (self.std + _EPSILON)
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.zca_whitening_matrix = u * (np.sqrt(len(x)) / (s + self.zca_epsilon)) @ u.T


def _around_zero(largest: float) -> float:
    return np.random.uniform(-largest, largest) if largest else 0


def _shift(allowed: Any, size: int) -> float:
    """Draw a shift in pixels."""
    if not np.any(allowed):
        return 0
    if np.ndim(allowed) or isinstance(allowed, (int, np.integer)):
        shift = np.random.choice(allowed) * np.random.choice([-1, 1])
    else:
        shift = np.random.uniform(-allowed, allowed)
    return shift * size if np.max(allowed) < 1 else shift
