"""`FeatureSpace`: the preprocessing of a table, one layer per column, and crosses of columns.

Each *feature* is a column of numbers or strings with a *preprocessor*, a layer. The results are
one-hot encoded where that is wanted, and either joined to one vector per sample or kept in a dict.
Columns come as `(batch,)`, `(batch, 1)`, or as single values of one sample.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from ..dtypes import to_torch
from ..graph.keras_tensor import KerasTensor
from ..layers import (
    CategoryEncoding,
    Discretization,
    HashedCrossing,
    Hashing,
    Input,
    IntegerLookup,
    Layer,
    Normalization,
    Rescaling,
    StringLookup,
    TextVectorization,
)
from ..layers.adapting import batches
from ..layers.data_layer import DataLayer, in_tf_graph, into_tf_graph
from ..layers.strings import as_values, is_text
from ..naming import explain, nearest, uniquify
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..saving.keras_archive import save_archive

__all__ = ["Cross", "Feature", "FeatureSpace", "TFDConcat", "TFDIdentity"]

_PATH = "keras.src.layers.preprocessing.feature_space"
_BATCH = 32  # of single values, when preprocessors learn from them


@builtin(f"{_PATH}.Cross")
class Cross:
    """A feature made of combinations of others.

    Args:
        feature_names: The others.
        crossing_dim: The number of bins that the combinations are hashed into.
        output_mode: "one_hot", or "int" for the bins as they are.

    Raises:
        ValueError: An unknown `output_mode`.
    """

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> None:
        _check_mode(output_mode, ("int", "one_hot"))
        self.feature_names = tuple(feature_names)
        self.crossing_dim = crossing_dim
        self.output_mode = output_mode

    @property
    def name(self) -> str:
        """The names of the features, joined."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "feature_names": self.feature_names,
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Cross:
        """Make one from what `get_config` returned."""
        return cls(**config)


@builtin(f"{_PATH}.Feature")
class Feature:
    """A column and how it is preprocessed.

    Args:
        dtype: Of the raw column.
        preprocessor: The layer, or its config.
        output_mode: "float" or "int" for what the layer gives as it is; "one_hot" to encode the
            indices it gives.

    Raises:
        ValueError: An unknown `output_mode`.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        _check_mode(output_mode, ("int", "one_hot", "float"))
        self.dtype = dtype
        if isinstance(preprocessor, dict):
            preprocessor = deserialize_keras_object(preprocessor)
        self.preprocessor = preprocessor
        self.output_mode = output_mode

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the layer as its config."""
        return {
            "dtype": self.dtype,
            "preprocessor": serialize_keras_object(self.preprocessor),
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Feature:
        """Make one from what `get_config` returned."""
        return cls(**config)


def _check_mode(output_mode: str, options: Sequence[str]) -> None:
    if output_mode not in options:
        raise ValueError(
            "Invalid value for argument `output_mode`. Expected one of"
            f" {', '.join(map(repr, options))}. Received: output_mode={output_mode!r}"
        )


@builtin(f"{_PATH}.TFDConcat")
class TFDConcat(DataLayer):
    """Joins tensors along an axis.

    Args:
        axis: The axis.
        kwargs: Arguments of `Layer`.
    """

    def __init__(self, axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, xs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the tensors joined."""
        return torch.cat(list(xs), dim=self.axis)


@builtin(f"{_PATH}.TFDIdentity")
class TFDIdentity(DataLayer):
    """Leaves a column as it is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def call(self, x: Any) -> Any:
        """Return `x`."""
        return x


@builtin("keras.utils.FeatureSpace")
class FeatureSpace(Layer):
    """Preprocesses and encodes the columns of a table.

    The types of features, by name or, with arguments of their own, by the class method of the same
    name: "float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed". `FeatureSpace.feature` makes one of any
    preprocessing layer.

    Args:
        features: The type of each column, by its name.
        output_mode: "concat" for one vector per sample, or "dict" for each encoded column.
        crosses: Columns to be combined: tuples of names, or what `FeatureSpace.cross` returns.
        crossing_dim: Bins of a cross that has none of its own.
        hashing_dim: Bins of hashed columns.
        num_discretization_bins: Bins of discretized columns.
        name: Default: `feature_space`, numbered.

    Raises:
        ValueError: There are no features, or a type, a mode or a crossed column is unknown.

    Example:
        >>> data = {"size": [1.0, 2.0, 3.0], "kind": ["a", "b", "a"]}
        >>> space = FeatureSpace({"size": "float_normalized", "kind": "string_categorical"})
        >>> space.adapt(data)
        >>> space(data).shape
        torch.Size([3, 4])
        >>> space({"size": 2.0, "kind": "b"}).tolist()  # the columns in alphabetical order
        [0.0, 0.0, 1.0, 0.0]
    """

    # TensorFlow leaves alone what carries this mark, instead of rewriting its source for graphs.
    autograph_info__: dict[str, Any] = {}

    # Types of features ---------------------------------------------------------------------------

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Make a feature of combinations of others; see `Cross`."""
        return Cross(feature_names, crossing_dim, output_mode=output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """Make a feature with a preprocessing layer of one's own; see `Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Make a feature of numbers that stay as they are."""
        layer = TFDIdentity(dtype="float32", name=_layer_name(name, "float"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """Make a feature of numbers that are multiplied and shifted."""
        layer = Rescaling(scale=scale, offset=offset, name=_layer_name(name, "float_rescaled"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Make a feature of numbers that get the mean 0 and the variance 1."""
        layer = Normalization(axis=-1, name=_layer_name(name, "float_normalized"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int,
        bin_boundaries: Any = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Make a feature of numbers that are put into bins."""
        layer = Discretization(
            num_bins=num_bins,
            bin_boundaries=bin_boundaries,
            name=_layer_name(name, "float_discretized"),
        )
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Make a feature of integers that are looked up in a vocabulary."""
        layer = IntegerLookup(
            name=_layer_name(name, "integer_categorical"),
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
        )
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Make a feature of strings that are looked up in a vocabulary."""
        layer = StringLookup(
            name=_layer_name(name, "string_categorical"),
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
        )
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Make a feature of strings that are hashed into bins."""
        layer = Hashing(name=_layer_name(name, "string_hashed"), num_bins=num_bins)
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Make a feature of integers that are hashed into bins."""
        layer = Hashing(name=_layer_name(name, "integer_hashed"), num_bins=num_bins)
        return Feature("int32", layer, output_mode)

    # Making --------------------------------------------------------------------------------------

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int | None = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not features:
            raise ValueError("The `features` argument cannot be None or empty.")
        _check_mode(output_mode, ("dict", "concat"))
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.output_mode = output_mode
        self.features = {key: self._as_feature(key, value) for key, value in features.items()}
        self.crosses = [self._as_cross(cross) for cross in crosses or ()]
        self.crosses_by_name = {cross.name: cross for cross in self.crosses}
        self.inputs = {
            key: Input(shape=(1,), dtype=feature.dtype, name=key)
            for key, feature in self.features.items()
        }
        self.preprocessors = {key: feature.preprocessor for key, feature in self.features.items()}
        self.crossers = {
            cross.name: HashedCrossing(cross.crossing_dim, name=cross.name)
            for cross in self.crosses
        }
        self.one_hot_encoders: dict[str, CategoryEncoding] = {}
        self.concat: TFDConcat | None = None
        self.encoded_features: Any = None
        self._is_adapted = False

    def _as_feature(self, name: str, given: Any) -> Feature:
        if isinstance(given, Feature):
            return given
        if isinstance(given, dict):
            return deserialize_keras_object(given)
        makers: dict[str, Callable[[], Feature]] = {
            "float": lambda: self.float(name=name),
            "float_normalized": lambda: self.float_normalized(name=name),
            "float_rescaled": lambda: self.float_rescaled(name=name),
            "float_discretized": lambda: self.float_discretized(
                self.num_discretization_bins, name=name
            ),
            "integer_categorical": lambda: self.integer_categorical(name=name),
            "string_categorical": lambda: self.string_categorical(name=name),
            "integer_hashed": lambda: self.integer_hashed(self.hashing_dim, name=name),
            "string_hashed": lambda: self.string_hashed(self.hashing_dim, name=name),
        }
        if given not in makers:
            raise ValueError(
                explain(
                    f"Invalid feature type: {given!r}. {nearest(given, makers)}".rstrip(),
                    feature=name,
                    expected=", ".join(makers),
                )
            )
        return makers[given]()

    def _as_cross(self, given: Any) -> Cross:
        cross = deserialize_keras_object(given) if isinstance(given, dict) else given
        if not isinstance(cross, Cross):
            if not self.crossing_dim:
                raise ValueError(
                    "When specifying `crosses`, the argument `crossing_dim` (the number of bins of"
                    " a cross) should be specified as well."
                )
            cross = Cross(cross, crossing_dim=self.crossing_dim)
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown:
            raise ValueError(
                explain(
                    "All features referenced in the `crosses` argument should be present in the"
                    f" `features` dict. {nearest(unknown[0], self.features)}".rstrip(),
                    unknown=unknown,
                    features=list(self.features),
                )
            )
        return cross

    # Learning ------------------------------------------------------------------------------------

    def _list_adaptable_preprocessors(self) -> list[str]:
        """Return the names of the features whose preprocessors learn from data."""
        return [name for name, layer in self.preprocessors.items() if _is_adaptable(layer)]

    def adapt(self, dataset: Any) -> None:
        """Let the preprocessors learn from data.

        Args:
            dataset: A dict of columns (arrays or lists), a pandas `DataFrame`, or an iterable of
                such dicts, or of dicts for single samples: a `DataLoader`, torch `Dataset`,
                `PyDataset`, `tf.data.Dataset`, list or generator. Targets beside the dicts are
                left out.

        Raises:
            ValueError: The data are none of these, or lack a column.
        """
        columns = _as_dict(dataset)
        if columns is None:
            if not isinstance(dataset, Iterable) and not hasattr(dataset, "__getitem__"):
                raise ValueError(
                    "`adapt()` can only be called on a dict of arrays or lists, or on an iterable"
                    f" of such dicts. Received: {dataset!r} (of type {type(dataset).__name__})"
                )
            if isinstance(dataset, Iterator):  # which can be gone through once only
                dataset = list(dataset)
        for name in self._list_adaptable_preprocessors():
            layer = self.preprocessors[name]
            if isinstance(layer, Normalization) and not layer.built:
                layer.build((None, 1))  # for batches of any size
            if columns is not None:
                self._require(columns, [name])
                values = _as_column(columns[name])
                learns_at_once = isinstance(
                    layer, (IntegerLookup, StringLookup, TextVectorization, Normalization)
                )
                layer.adapt(_as_array(values) if learns_at_once else iter(_split(values)))
            else:
                layer.adapt(self._column_batches(dataset, name))
        # What follows the preprocessors depends on what they have learned.
        self.built = False
        self.one_hot_encoders, self.concat, self.encoded_features = {}, None, None
        self._is_adapted = True
        self._check_if_built()

    def _column_batches(self, dataset: Any, name: str) -> Iterator[Any]:
        """Yield one column, batch by batch; single values are gathered to batches."""
        single: list[Any] = []
        for batch in batches(dataset):
            batch = _as_dict(batch[0] if isinstance(batch, tuple) else batch)
            self._require(batch, [name])
            values = as_values(batch[name])
            if values.ndim:
                yield _as_array(_as_column(values))
                continue
            single.append(values.item())
            if len(single) == _BATCH:
                yield _as_array(_as_column(single))
                single = []
        if single:
            yield _as_array(_as_column(single))

    def _require(self, data: Any, names: Iterable[str]) -> None:
        """Refuse data without the columns of some names."""
        if not isinstance(data, dict):
            raise ValueError(
                "A FeatureSpace can only be called with a dict. Received:"
                f" data={data!r} (of type {type(data).__name__})"
            )
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(
                explain(
                    f"FeatureSpace '{self.name}': the data have no column '{missing[0]}'."
                    f" {nearest(missing[0], data)}".rstrip(),
                    given=list(data),
                    features=list(self.features),
                )
            )

    def _check_if_adapted(self) -> None:
        if not self._is_adapted:
            if self._list_adaptable_preprocessors():
                raise ValueError(
                    "You need to call `.adapt(dataset)` on the FeatureSpace before you can start"
                    " using it."
                )
            self._is_adapted = True

    def _check_if_built(self) -> None:
        self.get_encoded_features()
        self.built = True

    # Symbolic tensors ----------------------------------------------------------------------------

    def get_inputs(self) -> dict[str, KerasTensor]:
        """Return a symbolic input for each column."""
        self._check_if_built()
        return self.inputs

    def get_encoded_features(self) -> Any:
        """Return the encoded columns as symbolic tensors: one, or a dict of them.

        Raises:
            ValueError: A preprocessor has not learned from data yet, or gives nothing that can be
                encoded or joined.
        """
        self._check_if_adapted()
        if self.encoded_features is None:
            features = self._preprocessed(self.inputs, _call)
            for name, tensor in features.items():
                self._add_encoder(name, tensor)
            encoded = self._encoded(features, _call)
            if self.output_mode == "concat":
                for name, tensor in encoded.items():
                    _require_numbers(name, tensor)
                self.concat = TFDConcat(axis=-1)
            self.encoded_features = self._merged(encoded, _call)
        return self.encoded_features

    def _add_encoder(self, name: str, tensor: KerasTensor) -> None:
        """Make the layer that one-hot encodes a feature, if it wants one."""
        spec = self.features.get(name) or self.crosses_by_name[name]
        if spec.output_mode != "one_hot":
            return
        if not tensor.dtype.startswith("int"):
            raise ValueError(
                explain(
                    f"Feature '{name}' has `output_mode='one_hot'`, so its preprocessor should"
                    " return an integer dtype.",
                    given=tensor.dtype,
                    fix="use output_mode='float'.",
                )
            )
        layer = self.preprocessors.get(name) or self.crossers[name]
        self.one_hot_encoders[name] = CategoryEncoding(
            num_tokens=_cardinality(name, layer), output_mode="multi_hot"
        )

    # Calls ---------------------------------------------------------------------------------------
    # The three steps take a function that calls a layer: to compute, or to infer what comes out.

    def _preprocessed(self, data: Mapping[str, Any], run: Callable[..., Any]) -> dict[str, Any]:
        """Return the preprocessed columns, then the crosses, each in alphabetical order."""
        features = {name: run(self.preprocessors[name], data[name]) for name in self.features}
        crosses = {
            cross.name: run(
                self.crossers[cross.name], [features[name] for name in cross.feature_names]
            )
            for cross in self.crosses
        }
        return {**dict(sorted(features.items())), **dict(sorted(crosses.items()))}

    def _encoded(self, features: Mapping[str, Any], run: Callable[..., Any]) -> dict[str, Any]:
        encoders = self.one_hot_encoders
        return {
            name: run(encoders[name], feature) if name in encoders else feature
            for name, feature in features.items()
        }

    def _merged(self, features: dict[str, Any], run: Callable[..., Any]) -> Any:
        return run(self.concat, list(features.values())) if self.concat is not None else features

    def _computed(self, data: Mapping[str, Any], run: Callable[..., Any]) -> Any:
        """Return the encoded columns of batches or of one sample."""
        columns = {name: _as_column(data[name], self.features[name].dtype) for name in data}
        merged = self._merged(self._encoded(self._preprocessed(columns, run), run), run)
        if all(len(x.shape) for x in data.values()):
            return merged
        if isinstance(merged, dict):
            return {name: _only_sample(x) for name, x in merged.items()}
        return _only_sample(merged)

    def __call__(self, data: Any) -> Any:
        """Return the encoded columns of a table: one tensor, or a dict of them.

        Args:
            data: A dict of columns or of the values of one sample, or a pandas `DataFrame`.

        Raises:
            ValueError: The data are no dict, or lack a column.
        """
        self._check_if_built()
        columns = _as_dict(data)
        self._require(data if columns is None else columns, self.features)
        columns = {name: columns[name] for name in self.features}
        if in_tf_graph(columns):
            spec_of = functools.partial(self._computed, run=_spec)
            return into_tf_graph(self._from_values, spec_of, (columns,), {})
        return self._from_values(columns)

    def _from_values(self, columns: Mapping[str, Any]) -> Any:
        return self._computed({name: as_values(x) for name, x in columns.items()}, _call)

    # Saving --------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, features and crosses as their configs."""
        return {
            "features": serialize_keras_object(dict(self.features)),
            "output_mode": self.output_mode,
            "crosses": serialize_keras_object(list(self.crosses)),
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureSpace:
        """Make one from what `get_config` returned."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        """Return what the preprocessors were built with."""
        return {name: layer.get_build_config() for name, layer in self.preprocessors.items()}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Build the preprocessors of a file; what they have learned is loaded next."""
        for name, build_config in config.items():
            layer = self.features[name].preprocessor
            if not layer.built:
                layer.build_from_config(build_config)
        self._is_adapted = True

    def save(self, filepath: Any) -> None:
        """Write the feature space into a `.keras` file; `keras.models.load_model` reads it."""
        save_archive(self, filepath)

    def save_own_variables(self, store: Any) -> None:
        """Put nothing into the store: all state is that of the layers."""

    def load_own_variables(self, store: Any) -> None:
        """Take nothing from the store."""


def _layer_name(name: str | None, kind: str) -> str:
    return f"{name or uniquify(kind)}_preprocessor"


def _is_adaptable(layer: Any) -> bool:
    """Return whether a preprocessor learns from data, since it was not given what it needs."""
    if isinstance(layer, Normalization):
        return layer.input_mean is None
    if isinstance(layer, Discretization):
        return layer.num_bins is not None
    return hasattr(layer, "adapt") and not getattr(layer, "_has_input_vocabulary", False)


def _cardinality(name: str, layer: Any) -> int:
    """Return how many indices a preprocessor gives."""
    if isinstance(layer, (IntegerLookup, StringLookup)):
        return layer.vocabulary_size()
    if isinstance(layer, CategoryEncoding):
        return layer.num_tokens
    if isinstance(layer, Discretization):
        return layer.num_bins if layer.num_bins is not None else len(layer.bin_boundaries) + 1
    if isinstance(layer, (HashedCrossing, Hashing)):
        return layer.num_bins
    raise ValueError(
        explain(
            f"Feature '{name}' has `output_mode='one_hot'`, but it is not known how many indices a"
            f" {type(layer).__name__} gives.",
            fix="use output_mode='int' and encode them yourself.",
        )
    )


def _require_numbers(name: str, tensor: KerasTensor) -> None:
    if tensor.dtype.startswith("int") or tensor.dtype == "string":
        raise ValueError(
            explain(
                f"Cannot concatenate features because feature '{name}' has not been encoded.",
                dtype=tensor.dtype,
                fix="encode it with output_mode='one_hot', or make the FeatureSpace with"
                " output_mode='dict'.",
            )
        )


def _as_dict(data: Any) -> dict[str, Any] | None:
    """Return columns by their names, or `None` for anything else."""
    if isinstance(data, dict):
        return data
    if hasattr(data, "columns") and hasattr(data, "iloc"):  # a pandas DataFrame
        return {str(name): data[name] for name in data.columns}
    return None


def _as_column(x: Any, dtype: str = "string") -> Any:
    """Return values as `(batch, 1)`, wider rows as they are; numbers for float features as such."""
    if isinstance(x, KerasTensor):
        shape = x.shape
        column = (*shape, 1) if len(shape) == 1 else shape or (1, 1)
        return KerasTensor(column, dtype if "float" in dtype else x.dtype)
    x = as_values(x)
    if not is_text(x) and "float" in dtype:
        x = x.to(to_torch(dtype))
    return x.reshape(-1, 1) if x.ndim < 2 else x


def _as_array(column: Any) -> Any:
    """Return values to learn from: those in wider rows one below the other, as in Keras."""
    return column.reshape(-1, 1)


def _split(column: Any) -> list[Any]:
    column = _as_array(column)
    return [column[i : i + _BATCH] for i in range(0, len(column), _BATCH)]


def _call(layer: Layer, x: Any) -> Any:
    return layer(x)


def _spec(layer: Layer, x: Any) -> Any:
    return layer.compute_output_spec(x)


def _only_sample(x: Any) -> Any:
    if len(x.shape) < 2 or x.shape[0] != 1:
        return x
    return KerasTensor(x.shape[1:], x.dtype) if isinstance(x, KerasTensor) else x[0]
