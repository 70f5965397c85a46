"""Calibration: data is run through a model block by block, and the layers inside look at it.

The inputs of a block are what the blocks before it return once they are quantized, so that later
layers are calibrated for the inputs they will get.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dtypes import as_tensor, to_numpy
from ..graph.context import CONTEXT
from ..naming import explain
from .awq import AWQ
from .config import AWQConfig, Filters, GPTQConfig, should_quantize_layer
from .gptq import GPTQ

__all__ = ["awq_quantize", "get_dataloader", "gptq_quantize"]

# Sequences that go through a block together.
_BATCH = 8
Progress = Callable[[int], Any]


def get_dataloader(
    tokenizer: Any,
    sequence_length: int,
    dataset: Any,
    num_samples: int = 128,
    *,
    strategy: str = "strided",
    seed: int = 42,
    stride: int | None = None,
    eos_id: int | None = None,
) -> np.ndarray:
    """Cut sequences of equal length out of texts or tokens, which are repeated if need be.

    Args:
        tokenizer: Has a method `tokenize` from a text to tokens; not used for tokens.
        sequence_length: Tokens in a sequence.
        dataset: Texts, or arrays of tokens.
        num_samples: How many sequences.
        strategy: Where they begin: `"strided"`, `stride` tokens apart; `"linspace"`, spread evenly;
            or `"random"`.
        seed: Of the first or of all positions.
        stride: Default: such that the sequences cover the tokens.
        eos_id: A token put between texts.

    Returns: int32, `(num_samples, 1, sequence_length)`.

    Raises:
        TypeError: `dataset` is a single text, or cannot be iterated over.
        ValueError: It is empty, or there is no such strategy.

    Example:
        >>> get_dataloader(None, 3, [[1, 2, 3], [4]], num_samples=2, strategy="linspace").tolist()
        [[[1, 2, 3]], [[2, 3, 4]]]
    """
    tokens = _all_tokens(tokenizer, dataset, eos_id)
    tokens = np.tile(tokens, math.ceil(num_samples * sequence_length / tokens.size) or 1)
    last = tokens.size - sequence_length
    if strategy == "random":
        starts = np.random.default_rng(seed).integers(0, last + 1, size=num_samples)
    elif strategy == "linspace":
        starts = np.linspace(0, last, num_samples, dtype=np.int64)
    elif strategy == "strided":
        stride = max(1, (last + 1) // num_samples) if stride is None else stride
        offset = zlib.crc32(f"calibration {seed}".encode())  # `hash` differs between processes
        starts = (offset + np.arange(num_samples, dtype=np.int64) * stride) % (last + 1)
    else:
        raise ValueError(
            f"Unknown strategy: {strategy!r}. Expected 'strided', 'linspace' or 'random'."
        )
    windows = np.lib.stride_tricks.sliding_window_view(tokens, sequence_length)
    return windows[starts].astype(np.int32)[:, None, :]


def _all_tokens(tokenizer: Any, dataset: Any, eos_id: int | None) -> np.ndarray:
    """Return the tokens of all texts in one array."""
    if isinstance(dataset, (str, bytes)) or not hasattr(dataset, "__iter__"):
        raise TypeError(
            "The `dataset` argument must be an iterable of texts or of arrays of tokens. Got type:"
            f" {type(dataset).__name__}. Please pass the loaded dataset directly."
        )
    pieces: list[np.ndarray] = []
    for item in dataset:
        text = isinstance(item, str)
        if text and pieces and eos_id is not None:
            pieces.append(np.array([eos_id]))
        tokens = as_tensor(tokenizer.tokenize(item) if text else item)
        pieces.append(to_numpy(tokens).reshape(-1))
    if not pieces:
        raise ValueError("Provided dataset is empty.")
    return np.concatenate(pieces).astype(np.int32)


def gptq_quantize(
    config: GPTQConfig,
    quantization_layer_structure: dict[str, Any] | None,
    filters: Filters = None,
    progress: Progress | None = None,
) -> None:
    """Calibrate by GPTQ the layers of a model that `quantize("gptq", …)` prepared.

    Args:
        config: With dataset and tokenizer.
        quantization_layer_structure: `{"pre_block_layers": […], "sequential_blocks": […]}`.
        filters: See `should_quantize_layer`.
        progress: Called with the number of blocks done.

    Raises:
        ValueError: There is no data or no structure.
    """
    _calibrate(GPTQ, config, quantization_layer_structure, filters, progress)


def awq_quantize(
    config: AWQConfig,
    quantization_layer_structure: dict[str, Any] | None,
    filters: Filters = None,
    progress: Progress | None = None,
) -> None:
    """Calibrate by AWQ the layers of a model that `quantize("awq", …)` prepared.

    Args and errors: as of `gptq_quantize`.
    """
    _calibrate(AWQ, config, quantization_layer_structure, filters, progress)


def _calibrate(
    method: Callable[[Any, Any], Any],
    config: Any,
    structure: dict[str, Any] | None,
    filters: Filters,
    progress: Progress | None,
) -> None:
    mode = config.mode
    if config.dataset is None or config.tokenizer is None:
        raise ValueError(
            f"{mode.upper()} quantization requires a dataset and a tokenizer. Please provide them"
            f" in the `{type(config).__name__}`."
        )
    if structure is None:
        raise ValueError(
            f"For '{mode}' mode, a valid quantization structure must be provided: a dict with the"
            " keys 'pre_block_layers' and 'sequential_blocks', either as"
            " `config.quantization_layer_structure` or by overriding"
            " `model.get_quantization_layer_structure(mode)`."
        )
    blocks = structure.get("sequential_blocks") or ()
    if not blocks:
        raise ValueError(
            explain(
                "No sequential blocks found in the structure to quantize.",
                given=f"keys {list(structure)}",
                fix="list the blocks, in order, under 'sequential_blocks'.",
            )
        )
    data = get_dataloader(
        config.tokenizer, config.sequence_length, config.dataset, config.num_samples
    )
    with torch.no_grad(), _inference():
        batches: list[Any] = list(as_tensor(data[:, 0]).split(_BATCH))
        for layer in structure.get("pre_block_layers") or ():
            batches = [layer(batch) for batch in batches]
        for i, block in enumerate(blocks):
            _calibrate_block(method, config, block, batches, filters)
            if i + 1 < len(blocks):
                batches = [_first(block(batch)) for batch in batches]
            if progress is not None:
                progress(i + 1)


def _calibrate_block(
    method: Callable[[Any, Any], Any], config: Any, block: Any, batches: list[Any], filters: Filters
) -> None:
    """Let the layers of a block look at its data, then quantize them."""
    observers = {
        layer: method(layer, config)
        for layer in _layers_to_calibrate(block, config.mode)
        if should_quantize_layer(layer, filters)
    }
    if not observers:
        return
    with _observing(observers):
        for batch in batches:
            block(batch)
    for observer in observers.values():
        observer.calibrate()
        observer.free()


def _layers_to_calibrate(block: Any, mode: str) -> list[Any]:
    layers = [layer for layer in block._flatten_layers() if hasattr(layer, "kernel_to_calibrate")]
    return [layer for layer in layers if layer.quantization_mode == mode and not layer._calibrated]


@contextlib.contextmanager
def _observing(observers: dict[Any, Any]) -> Iterator[None]:
    """Within it, each layer shows its inputs to its observer, in rows as wide as its kernel."""

    def show(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rows = layer.rows_to_calibrate(args[0] if args else kwargs["inputs"])
        if rows.shape[-1] == observers[layer].rows:
            observers[layer].observe(rows)

    handles = [layer.register_forward_pre_hook(show, with_kwargs=True) for layer in observers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _inference() -> Iterator[None]:
    """Within it, layers compute as outside of training."""
    former = CONTEXT.training
    CONTEXT.training = False
    try:
        yield
    finally:
        CONTEXT.training = former


def _first(outputs: Any) -> Tensor:
    """Return the hidden states that a block returns, maybe before caches and the like."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs
