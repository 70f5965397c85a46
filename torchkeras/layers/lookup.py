"""Categories with a vocabulary: `StringLookup` and `IntegerLookup`.

Indices are in the order that `index_lookup` says. Letters: B batch, T tokens in a sample, V size of
the vocabulary with all special indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..registry import builtin
from .index_lookup import IndexLookup

__all__ = ["IntegerLookup", "StringLookup"]


@builtin("keras.layers.StringLookup")
class StringLookup(IndexLookup):
    """Replaces strings by their indices in a vocabulary, or indices by strings.

    Args:
        max_tokens: The largest size of the vocabulary, special tokens included.
        num_oov_indices: How many indices are for strings out of the vocabulary; above 1, hashes
            decide which one, at 0, such strings are errors.
        mask_token: A string for masked values; index 0 in mode "int", dropped in others.
        oov_token: What stands for strings out of the vocabulary where indices are turned back.
        vocabulary: The strings, or the path of a text file with one a line. Without it, `adapt`
            learns them.
        idf_weights: The weight of each string, for mode "tf_idf".
        invert: Whether to turn indices into strings.
        output_mode: "int" for indices; or "one_hot", "multi_hot", "count", or "tf_idf" (counts
            weighted by inverse document frequencies), which give `floatx()`.
        pad_to_max_tokens: Whether encoded samples have the width `max_tokens`.
        sparse: Must be false.
        encoding: How strings that come as `bytes` are encoded.
        name: Default: `string_lookup`, numbered.
        salt: An integer or two, to spread strings out of the vocabulary by other hashes.
        kwargs: See `IndexLookup`.
    Shapes:
        inputs: Strings of any shape: lists, NumPy arrays, pandas objects, tensors of TensorFlow.
            Result: indices of the same shape; encoded: `(B, V)`, one-hot `(B, T, V)`, without T
            where it is 1. Inverted: a list of strings for a vector, else a NumPy array.
    Raises:
        ValueError: An argument is out of range, or a string is unknown and no index is for such.

    Example:
        >>> layer = StringLookup(vocabulary=["a", "b", "c"])
        >>> layer([["a", "c"], ["z", "b"]]).tolist()
        [[1, 3], [0, 2]]
        >>> layer = StringLookup()
        >>> layer.adapt(["b", "a", "b"])
        >>> layer.get_vocabulary()
        ['[UNK]', 'b', 'a']
        >>> StringLookup(vocabulary=["a", "b"], invert=True)([2, 0])
        ['b', '[UNK]']
    """

    _config_excludes = (*IndexLookup._config_excludes, "vocabulary_dtype")

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.__dict__["encoding"] = encoding  # for the tokens that come next
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary_dtype="string",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            name=name,
            salt=salt,
            **kwargs,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tokens = super().__call__(*args, **kwargs)
        # As Keras on torch, which has no more axes.
        return tokens.tolist() if isinstance(tokens, np.ndarray) and tokens.ndim == 1 else tokens


@builtin("keras.layers.IntegerLookup")
class IntegerLookup(IndexLookup):
    """Replaces integers by their indices in a vocabulary, or indices by integers.

    Integer tensors are looked up on the device they are on, and the host never waits for it.

    Args:
        max_tokens: The largest size of the vocabulary, special tokens included.
        num_oov_indices: How many indices are for integers out of the vocabulary; above 1,
            `oov_method` decides which one, at 0, such integers are errors.
        mask_token: An integer for masked values; index 0 in mode "int", dropped in others.
        oov_token: What stands for integers out of the vocabulary where indices are turned back.
        vocabulary: The integers, or the path of a text file with one a line. Without it, `adapt`
            learns them.
        vocabulary_dtype: Must be `"int64"`.
        idf_weights: The weight of each integer, for mode "tf_idf".
        invert: Whether to turn indices into integers.
        output_mode: "int" for indices; or "one_hot", "multi_hot", "count", or "tf_idf" (counts
            weighted by inverse document frequencies), which give `floatx()`.
        sparse: Must be false.
        pad_to_max_tokens: Whether encoded samples have the width `max_tokens`.
        oov_method: "floormod" takes the remainder of unknown integers, "farmhash" their hash.
        salt: An integer or two, for other hashes; only with "farmhash".
        name: Default: `integer_lookup`, numbered.
        kwargs: See `IndexLookup`.
    Shapes:
        inputs: Integers of any shape. Result: indices of the same shape; encoded: `(B, V)`, one-hot
            `(B, T, V)`, without T where it is 1.
    Raises:
        ValueError: An argument is out of range, or an integer is unknown and no index is for such.

    Example:
        >>> layer = IntegerLookup(vocabulary=[12, 36, 1138])
        >>> layer([[12, 1138], [7, 36]]).tolist()
        [[1, 3], [0, 2]]
        >>> layer = IntegerLookup(output_mode="count")
        >>> layer.adapt([5, 5, 9])
        >>> layer([[5, 5, 1]]).tolist()
        [[1.0, 2.0, 0.0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: Any = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        for argument, token in (("mask_token", mask_token), ("oov_token", oov_token)):
            if token is not None and not isinstance(token, Integral):
                raise TypeError(
                    f"IntegerLookup: `{argument}` must be an integer. Received: {token!r}"
                )
        if isinstance(vocabulary, Real):
            raise TypeError(
                f"IntegerLookup: `vocabulary` must be a list of integers. Received: {vocabulary!r}"
            )
        if vocabulary_dtype != "int64":
            raise ValueError(
                "Only `vocabulary_dtype='int64'` is supported. Received:"
                f" vocabulary_dtype={vocabulary_dtype!r}"
            )
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary_dtype=vocabulary_dtype,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            oov_method=oov_method,
            name=name,
            salt=salt,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, their integers as Python's."""
        config = super().get_config()
        for name in ("oov_token", "mask_token"):
            config[name] = None if config[name] is None else int(config[name])
        if config["vocabulary"] is not None:
            config["vocabulary"] = [int(token) for token in config["vocabulary"]]
        return config
