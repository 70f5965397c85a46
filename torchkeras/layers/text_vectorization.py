"""`TextVectorization`: from texts to indices of tokens or to encoded samples.

Texts go through four steps: standardization, splitting into tokens, joining of neighbours to
n-grams, and a `StringLookup` with the mask token "" and one OOV index. As in TensorFlow, all of it
works on UTF-8 bytes: only ASCII letters are made small, and only ASCII characters are white space
or punctuation.
Letters: B batch, T tokens in a text, V size of the vocabulary with its special tokens.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import default_device, floatx
from ..dtypes import to_torch
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..registry import builtin, deserialize_keras_object
from .adapting import batches, is_array
from .configs import base_config, make_from
from .data_layer import DataLayer
from .encoding import check_option, encode, refuse_sparse
from .index_lookup import standardize_output_mode
from .lookup import StringLookup
from .strings import as_values, decoded, encoded, inferred

__all__ = ["TextVectorization"]

_PUNCTUATION = string.punctuation.encode()
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)
_SPLIT = ("whitespace", "character", None)


class _Rows:
    """Token lists of different lengths: those of all texts in a row, and how many each text has."""

    def __init__(self, rows: Sequence[Sequence[bytes]]) -> None:
        self.tokens = list(itertools.chain.from_iterable(rows))
        self.lengths = torch.from_numpy(np.fromiter(map(len, rows), np.int64, len(rows)))

    def padded(self, indices: Tensor, width: int | None, fill: int) -> Tensor:
        """Return the tokens' indices as a matrix, cut or filled up to a width."""
        if width is None:
            width = int(self.lengths.max()) if len(self.lengths) else 0
        columns = torch.arange(width, device="cpu")
        starts = self.lengths.cumsum(0) - self.lengths
        places = (starts[:, None] + columns).clamp_(max=max(len(indices) - 1, 0))
        inside = columns < self.lengths[:, None]
        if not len(indices):
            return torch.full_like(places, fill)
        return torch.where(inside, indices[places], fill)

    def counts(self, indices: Tensor, depth: int, dtype: torch.dtype) -> Tensor:
        """Return how often each text has each index."""
        numbers = torch.arange(len(self.lengths), device="cpu").repeat_interleave(self.lengths)
        places = (numbers * depth + indices)[indices >= 0]
        counts = torch.bincount(places, minlength=len(self.lengths) * depth)
        return counts.reshape(-1, depth).to(dtype)


@builtin("keras.layers.TextVectorization")
class TextVectorization(DataLayer):
    """Turns texts into indices of their tokens, or into vectors of token counts.

    Args:
        max_tokens: The largest size of the vocabulary, special tokens included.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", `None`, or a
            function from a NumPy array of texts to such.
        split: "whitespace", "character", `None` (each text is one token), or a function from a
            vector of texts to a list of tokens for each.
        ngrams: Up to how many neighbouring tokens are joined to one (by spaces), or a tuple of
            just the numbers wanted.
        output_mode: "int" for indices; or "one_hot", "multi_hot", "count", or "tf_idf" (counts
            weighted by inverse document frequencies), which give `floatx()`.
        output_sequence_length: To how many indices each text is cut or filled up (with 0), in mode
            "int". Default: those of the longest in the batch.
        pad_to_max_tokens: Whether encoded texts have the width `max_tokens`.
        vocabulary: The tokens, or the path of a text file with one a line. Without it, `adapt`
            learns them.
        idf_weights: The weight of each token, for mode "tf_idf".
        sparse, ragged: Must be false.
        encoding: How texts that come as `bytes` are encoded.
        name: Default: `text_vectorization`, numbered.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: Texts `(B,)` or `(B, 1)`. Result: `(B, T)`; encoded: `(B, V)`.
    Raises:
        ValueError: An argument is out of range, or texts to be split are not `(B,)` or `(B, 1)`.

    Example:
        >>> layer = TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["foo bar", "bar baz", "baz bada boom"])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'baz', 'bar', 'foo', 'boom', 'bada']
        >>> layer(["Foo, qux bar!", "baz"]).tolist()
        [[4, 1, 3, 0], [2, 0, 0, 0]]
    """

    _convert_input_args = False
    _casts_in_tf_graphs = False

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_sparse(sparse)
        if ragged:
            raise ValueError(
                explain(
                    "`ragged=True` can only be used with the TensorFlow backend of Keras.",
                    fix="leave it out: short texts are filled up with 0.",
                )
            )
        for argument, value, options in (
            ("standardize", standardize, _STANDARDIZE),
            ("split", split, _SPLIT),
        ):
            if not callable(value):
                check_option(value, options, argument, "TextVectorization")
        output_mode = standardize_output_mode(output_mode, "TextVectorization")
        _check_ngrams(ngrams)
        _check_sequence_length(output_sequence_length, output_mode)
        given = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        self.__dict__.update(
            _standardize=standardize,
            _split=split,
            _ngrams_arg=ngrams,
            _ngrams=tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else ngrams,
        )
        self._output_mode = output_mode
        self._output_sequence_length = output_sequence_length
        self._ragged = ragged
        self._encoding = encoding
        self._has_input_vocabulary = given
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            has_input_vocabulary=given,
            encoding=encoding,
            vocabulary_size=size,
        )

    @property
    def compute_dtype(self) -> str:
        """The dtype of texts."""
        return "string"

    @property
    def variable_dtype(self) -> str:
        """The dtype of texts."""
        return "string"

    def build(self, input_shape: Any = None) -> None:
        """Make nothing: the vocabulary is no weight."""

    # The vocabulary ------------------------------------------------------------------------------

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the tokens in the order of their indices.

        Args:
            include_special_tokens: Whether those for padding and OOV tokens are in the list.
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Return the number of indices, those for padding and OOV tokens included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the vocabulary, instead of learning it; see `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights=idf_weights)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary: the tokens of some texts, frequent ones first.

        Args:
            data: An array, pandas object or list of texts; or batches of them: a generator,
                `DataLoader`, torch `Dataset`, `PyDataset` or `tf.data.Dataset`.
            batch_size: Ignored, as in Keras.
            steps: How many batches to take; needed where they never end.

        Raises:
            ValueError: The vocabulary was given to the constructor.
        """
        self.reset_state()
        whole = is_array(data) or isinstance(data, (list, tuple, str, bytes))
        for batch in [data] if whole else batches(data, steps):
            values = self._texts(batch)
            self.update_state(values[:, None] if whole and values.ndim == 1 else values)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch of texts."""
        self._lookup_layer._require_adaptable()
        tokens = self._tokens(self._texts(data))
        if isinstance(tokens, _Rows):
            self._lookup_layer._count(tokens.tokens, tokens.lengths.tolist())
        else:
            self._lookup_layer.update_state(tokens)

    def finalize_state(self) -> None:
        """Make the vocabulary from what was counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted, not the vocabulary."""
        self._lookup_layer.reset_state()

    # From texts to tokens ------------------------------------------------------------------------

    def _texts(self, inputs: Any) -> np.ndarray:
        return self._lookup_layer._expect_text(as_values(inputs))

    def _tokens(self, texts: np.ndarray) -> _Rows | np.ndarray:
        """Return the tokens of texts: in rows, or, if not split or joined, in an array."""
        if callable(self._standardize):
            texts = self._texts(self._standardize(self._unicode(texts)))
        split = self._split
        if split is not None:
            texts = self._flat(texts)
        flat = self._standardized(encoded(texts, self._encoding))
        if split == "whitespace":
            rows = [text.split() for text in flat]
        elif split == "character":
            rows = [_characters(text) for text in flat]
        elif split is not None:
            rows = self._custom_rows(split(_unicode(flat, texts.shape)))
        elif self._ngrams is None:
            return _array_of(flat, texts.shape)
        else:
            width = texts.shape[-1] if texts.ndim else 1
            rows = [flat[i : i + width] for i in range(0, len(flat), width)]
        if self._ngrams is not None:
            rows = [_joined(row, self._ngrams) for row in rows]
        return _Rows(rows)

    def _unicode(self, texts: np.ndarray) -> np.ndarray:
        """Return texts as functions of the user's get them: of NumPy's `str` dtype."""
        if texts.dtype.kind == "U":
            return texts
        return _unicode(encoded(texts, self._encoding), texts.shape)

    def _flat(self, texts: np.ndarray) -> np.ndarray:
        if texts.ndim > 1 and texts.shape[-1] != 1:
            raise ValueError(
                explain(
                    "When using `TextVectorization` to tokenize strings, the input rank must be 1"
                    " or the last shape dimension must be 1.",
                    layer=repr(self.name),
                    input_shape=texts.shape,
                    fix="pass one text per sample, or make the layer with `split=None`.",
                )
            )
        return texts[..., 0] if texts.ndim > 1 else texts

    def _standardized(self, texts: list[bytes]) -> list[bytes]:
        how = self._standardize
        if how in ("lower", "lower_and_strip_punctuation"):
            texts = [text.lower() for text in texts]
        if how in ("strip_punctuation", "lower_and_strip_punctuation"):
            texts = [text.translate(None, _PUNCTUATION) for text in texts]
        return texts

    def _custom_rows(self, rows: Any) -> list[list[bytes]]:
        """Return what a function of the user's has split texts into."""
        if hasattr(rows, "to_list"):  # a ragged tensor of TensorFlow's
            rows = rows.to_list()
        elif hasattr(rows, "numpy"):
            rows = rows.numpy()
        return [encoded(_array_of(row, (len(row),)), self._encoding) for row in rows]

    # Calling -------------------------------------------------------------------------------------

    def call(self, inputs: Any) -> Tensor:
        """Return the indices of the texts' tokens, or the encoded texts."""
        stand_in = inferred(self.compute_output_spec, inputs)
        if stand_in is not None:
            return stand_in
        lookup = self._lookup_layer
        lookup._require_vocabulary()
        texts = self._texts(inputs)
        tokens = self._tokens(texts)
        if not isinstance(tokens, _Rows):
            return self._fitted(lookup.call(tokens))
        indices = lookup._indices_of_strings(tokens.tokens)
        mode, shape = self._output_mode, self._sample_shape(texts.shape)
        if mode == "int":
            result = tokens.padded(indices, self._output_sequence_length, 0)
        elif mode == "one_hot":
            padded = tokens.padded(indices, None, -1)
            result = encode(padded[..., None], mode, lookup._depth(), to_torch(floatx()))
        else:
            result = tokens.counts(indices, lookup._depth(), to_torch(floatx()))
            if mode == "multi_hot":
                result = result.clamp_(max=1)
        result = result.reshape(*shape, *result.shape[1:]).to(default_device())
        return lookup._weighted(result)

    def _sample_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the axes that count texts."""
        return tuple(shape[:-1]) if len(shape) > 1 or self._split is None else tuple(shape)

    def _fitted(self, indices: Tensor) -> Tensor:
        """Cut or fill up indices that were not split from texts."""
        width = self._output_sequence_length
        if width is None or self._output_mode != "int":
            return indices
        missing = max(width - indices.shape[-1], 0)
        return torch.nn.functional.pad(indices[..., :width], (0, missing))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the indices or encoded texts."""
        shape = tuple(input_shape)
        width: int | None = self._output_sequence_length
        if self._split is None and self._ngrams is None:
            if self._output_mode != "int":
                return self._lookup_layer.compute_output_shape(shape)
            return (*shape[:-1], width if width is not None else shape[-1])
        shape = self._sample_shape(shape)
        if self._output_mode == "int":
            return (*shape, width)
        depth = self._lookup_layer._depth()
        return (*shape, None, depth) if self._output_mode == "one_hot" else (*shape, depth)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Return a symbolic tensor like the indices or encoded texts."""
        dtype = "int64" if self._output_mode == "int" else floatx()
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype)

    # Saving --------------------------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Put the weights of mode "tf_idf" into a store."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights of mode "tf_idf" from a store."""
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary into a folder, unless the config has it."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary from a folder, unless the config had it."""
        self._lookup_layer.load_assets(dir_path)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; a vocabulary that was learned is an asset instead."""
        lookup = self._lookup_layer.get_config()
        return {
            **base_config(self),
            "max_tokens": lookup["max_tokens"],
            "standardize": self._standardize,
            "split": self._split,
            "ngrams": self._ngrams_arg,
            "output_mode": self._output_mode,
            "output_sequence_length": self._output_sequence_length,
            "pad_to_max_tokens": lookup["pad_to_max_tokens"],
            "sparse": lookup["sparse"],
            "ragged": self._ragged,
            "vocabulary": lookup["vocabulary"],
            "idf_weights": lookup["idf_weights"],
            "encoding": self._encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> TextVectorization:
        """Rebuild the layer; functions in it must be known by their names."""
        config = dict(config)
        for name in ("standardize", "split"):
            if not isinstance(config[name], str) and not callable(config[name]):
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        if isinstance(config["ngrams"], list):
            config["ngrams"] = tuple(config["ngrams"])
        return make_from(cls, config)


def _check_ngrams(ngrams: Any) -> None:
    several = isinstance(ngrams, tuple) and all(isinstance(n, int) for n in ngrams)
    if ngrams is not None and not isinstance(ngrams, int) and not several:
        raise ValueError(
            "`ngrams` must be None, an integer, or a tuple of integers. Received:"
            f" ngrams={ngrams!r}"
        )


def _check_sequence_length(length: Any, output_mode: str) -> None:
    if output_mode != "int" and length is not None:
        raise ValueError(
            "`output_sequence_length` must not be set if `output_mode` is not 'int'. Received:"
            f" output_sequence_length={length}"
        )
    if length is not None and not isinstance(length, int):
        raise ValueError(
            "`output_sequence_length` must be either None or an integer when `output_mode` is"
            f" 'int'. Received: output_sequence_length={length!r}"
        )


def _array_of(tokens: Sequence[Any], shape: Sequence[int]) -> np.ndarray:
    array = np.empty(len(tokens), dtype=object)
    array[:] = tokens
    return array.reshape(shape)


def _unicode(texts: Sequence[bytes], shape: Sequence[int]) -> np.ndarray:
    return np.array(decoded(texts), dtype=np.str_).reshape(shape)


def _characters(text: bytes) -> list[bytes]:
    return [character.encode() for character in text.decode("utf-8", "replace")]


def _joined(tokens: Sequence[bytes], sizes: Iterable[int]) -> list[bytes]:
    """Return all runs of so many neighbouring tokens, the runs of each size in a row."""
    return [
        b" ".join(tokens[i : i + size])
        for size in sizes
        for i in range(max(len(tokens) - size + 1, 0))
    ]
