"""Connectionist temporal classification: label sequences that are shorter than the outputs.

Letters: B batch, T time steps, C classes (one of them the blank, `mask_index`), S labels, W paths
of a beam. A path is a label sequence; its score is the logarithm of its probability.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import result_type, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import SizeMismatch
from ..graph.operation import op
from .common import as_tensors

__all__ = ["ctc_decode", "ctc_loss"]

_PATH = "keras.src.ops.nn."


@op(path=_PATH + "CTCLoss")
def ctc_loss(
    target: Tensor,
    output: Tensor,
    target_length: Tensor,
    output_length: Tensor,
    mask_index: int = 0,
) -> Tensor:
    """The loss of label sequences that are shorter than the outputs.

    Args:
        target: Class numbers, `(B, S)`.
        output: Logits, `(B, T, C)`.
        target_length, output_length: Valid steps, `(B,)`.
        mask_index: The class that stands for no label.

    Raises:
        ValueError: In a graph: the sizes of the batch differ. Otherwise torch tells.

    Source: Graves et al. 2006.

    Example:
        >>> ctc_loss([[1]], torch.zeros(1, 2, 2), [1], [2])
        tensor([0.2877])
    """
    values = as_tensors(target, output, target_length, output_length)
    target, output, target_length, output_length = values
    output = output.to(to_torch(result_type(output.dtype, "float32")))
    if CONTEXT.meta:  # torch's kernel reads the lengths
        _check_same_batch("target", target.shape, "output", output.shape)
        _check_same_batch("target_length", target_length.shape, "target", target.shape)
        _check_same_batch("output_length", output_length.shape, "output", output.shape)
        return output.new_zeros(output.shape[0])
    rows = F.log_softmax(output.transpose(0, 1), -1)
    lengths = output_length, target_length
    return F.ctc_loss(rows, target, *lengths, blank=mask_index, reduction="none")


def _check_same_batch(name1: str, shape1: Any, name2: str, shape2: Any) -> None:
    if shape1[0] != shape2[0]:
        raise SizeMismatch(
            f"ctc_loss: `{name1}` and `{name2}` must have the same first dimension, the batch."
            f" Received: {tuple(shape1)} and {tuple(shape2)}"
        )


# Under the name by which subclasses of Keras's operation class call it.
ctc_loss.operation._check_shape_first_dim = staticmethod(_check_same_batch)


@op(path=_PATH + "CTCDecode")
def ctc_decode(
    inputs: Tensor,
    sequence_lengths: Tensor,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Tensor, Tensor]:
    """The label sequences that outputs stand for.

    Args:
        inputs: Scores of the classes, `(B, T, C)`; logits for `beam_search`.
        sequence_lengths: Valid steps, `(B,)`.
        strategy: `greedy` takes the best class of each step; `beam_search` adds up all ways to
            write a sequence, and keeps the best sequences of each step.
        beam_width: How many those are.
        top_paths: How many sequences `beam_search` returns, the best first.
        merge_repeated: With `greedy`, whether a class in several steps in a row counts once.
        mask_index: The class that stands for no label; `None` means the last one.

    Returns:
        Class numbers filled up with -1, and scores. With `greedy`, `(1, B, T)` and minus the sums
        of the scores, `(B, 1)`. With `beam_search`, `(top_paths, B, T)` and the logarithms of the
        sequences' probabilities, `(B, top_paths)`; where there are fewer sequences, -inf.

    Raises:
        ValueError: `strategy` is another word.

    Source: Graves et al. 2006 (greedy, called best path there); Hannun et al. 2014 (beam search).

    Example:
        >>> ctc_decode([[[0.0, 9.0], [9.0, 0.0]]], [2])[0].tolist()
        [[[1, -1]]]
        >>> ctc_decode(torch.zeros(1, 2, 2), [2], "beam_search", top_paths=2)[0].tolist()
        [[[1, -1]], [[-1, -1]]]
    """
    if strategy not in ("greedy", "beam_search"):
        raise ValueError(
            f"Invalid strategy {strategy!r}. Supported values are 'greedy' and 'beam_search'."
        )
    inputs, lengths = as_tensors(inputs, sequence_lengths)
    inputs = inputs.to(to_torch(result_type(inputs.dtype, "float32")))
    mask_index = inputs.shape[-1] - 1 if mask_index is None else mask_index
    if strategy == "beam_search":
        return _beam_search(inputs, lengths, beam_width, top_paths, mask_index)
    scores, labels = inputs.max(-1)
    steps = torch.arange(inputs.shape[1], device=inputs.device)
    over = steps >= lengths[:, None]
    labels = labels.to(torch.int32).masked_fill(over, mask_index)
    blank = labels == mask_index
    if merge_repeated:
        blank[:, 1:] |= labels[:, 1:] == labels[:, :-1]
    order = torch.argsort(blank.to(torch.int8), dim=-1, stable=True)
    labels = torch.take_along_dim(labels.masked_fill(blank, -1), order, -1)
    return labels[None], -scores.masked_fill(over, 0.0).sum(1, keepdim=True)


# Beam search -------------------------------------------------------------------------------------


class _Beam(NamedTuple):
    """The paths kept after a step, the best first.

    Attributes:
        paths: Classes, `(B, W, T)`, filled up with -1.
        lengths: Of the paths, `(B, W)`.
        blank, label: Scores of ending in the blank and in the path's last label, `(B, W)`.
        prefix: Whether path i begins path j or equals it, at `[:, i, j]`; never for paths that
            score -inf. It tells which extended paths are in the beam already.
    """

    paths: Tensor
    lengths: Tensor
    blank: Tensor
    label: Tensor
    prefix: Tensor

    def scores(self) -> Tensor:
        return torch.logaddexp(self.blank, self.label)


def _beam_search(
    inputs: Tensor, lengths: Tensor, beam_width: int, top_paths: int, mask_index: int
) -> tuple[Tensor, Tensor]:
    batch, steps, _ = inputs.shape
    if CONTEXT.meta:  # as many steps as a stand-in counts would be no use
        paths = inputs.new_zeros((top_paths, batch, steps), dtype=torch.int32)
        return paths, inputs.new_zeros((batch, top_paths))
    log_probs = F.log_softmax(inputs, -1)
    beam = _Beam(
        paths=torch.full((batch, 1, steps), -1, device=inputs.device),
        lengths=torch.zeros((batch, 1), dtype=torch.int64, device=inputs.device),
        blank=log_probs.new_zeros((batch, 1)),
        label=log_probs.new_full((batch, 1), -math.inf),
        prefix=torch.ones((batch, 1, 1), dtype=torch.bool, device=inputs.device),
    )
    for step in range(steps):
        # The first step always counts, as in Keras.
        over = lengths <= step if step else torch.zeros_like(lengths, dtype=torch.bool)
        beam = _extended(beam, log_probs[:, step], over[:, None], beam_width, mask_index)
    missing = max(0, top_paths - beam.paths.shape[1])
    paths = F.pad(beam.paths, (0, 0, 0, missing), value=-1)[:, :top_paths]
    scores = F.pad(beam.scores(), (0, missing), value=-math.inf)[:, :top_paths]
    paths = paths.masked_fill((scores == -math.inf)[..., None], -1)
    return paths.transpose(0, 1).to(torch.int32), scores


def _extended(beam: _Beam, log_probs: Tensor, over: Tensor, width: int, mask_index: int) -> _Beam:
    """Extend each path by each class, add up what is the same path, and keep the best."""
    classes = log_probs.shape[-1]
    total = beam.scores()
    last = beam.paths.gather(2, (beam.lengths - 1).clamp(min=0)[..., None])[..., 0].clamp(min=0)
    own = log_probs.gather(1, last)
    # The same path goes on by a blank, or by its last label once more.
    blank = torch.where(over, beam.blank, total + log_probs[:, mask_index, None])
    label = torch.where(over, beam.label, beam.label + own)
    # A label after itself is a new one only after a blank.
    longer = (total[..., None] + log_probs[:, None]).scatter(
        2, last[..., None], (torch.where(beam.lengths > 0, beam.blank, total) + own)[..., None]
    )
    longer = longer.masked_fill(over[..., None], -math.inf)
    # Path i and the last label of path j make path j: its score goes there.
    same = beam.prefix & (beam.lengths[:, :, None] + 1 == beam.lengths[:, None, :])
    place = last[:, None, :].expand_as(same)
    moved = longer.gather(2, place).masked_fill(~same, -math.inf).amax(1)
    label = torch.logaddexp(label, moved)
    limit = torch.zeros_like(moved)[:, None].expand_as(same).masked_fill(same, -math.inf)
    limit = limit.masked_fill(~same, math.inf)
    longer = longer.scatter_reduce(2, place, limit, "amin")

    # The blank's place is that of paths that stay.
    longer = longer.select_scatter(torch.logaddexp(blank, label), 2, mask_index)
    best, order = longer.flatten(1).sort(dim=1, descending=True, stable=True)
    best, order = best[:, :width], order[:, :width]
    parent, added = order // classes, order % classes
    stays = added == mask_index
    paths = beam.paths.gather(1, parent[..., None].expand(-1, -1, beam.paths.shape[2]))
    lengths = beam.lengths.gather(1, parent)
    end = lengths.clamp(max=paths.shape[2] - 1)[..., None]
    tail = torch.where(stays[..., None], paths.gather(2, end), added[..., None])
    paths = paths.scatter(2, end, tail)
    # Path i begins path j if its parent did, and j goes on with the label that i added.
    rows = beam.prefix.gather(1, parent[..., None].expand(-1, -1, beam.prefix.shape[2]))
    prefix = rows.gather(2, parent[:, None, :].expand(-1, parent.shape[1], -1))
    follows = paths.gather(2, end.transpose(1, 2).expand(-1, parent.shape[1], -1)).transpose(1, 2)
    alive = best > -math.inf
    prefix &= (stays[..., None] | (follows == added[..., None])) & alive[:, None] & alive[..., None]
    return _Beam(
        paths,
        lengths + ~stays,
        torch.where(stays, blank.gather(1, parent), -math.inf),
        torch.where(stays, label.gather(1, parent), best),
        prefix,
    )
