"""Beam search against all ways to write each sequence, counted one by one in float64."""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import torch

from torchkeras import ops
from torchkeras.ops.ctc import _beam_search


def probabilities(logits, blank):
    """The probability of each label sequence: the sum over the alignments that write it."""
    rows = scipy.special.softmax(logits, -1)
    found = {}
    for alignment in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        labels = tuple(label for label, _ in itertools.groupby(alignment) if label != blank)
        share = math.prod(row[label] for row, label in zip(rows, alignment, strict=True))
        found[labels] = found.get(labels, 0.0) + share
    return sorted(found.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("steps, classes, blank", [(1, 3, 0), (4, 3, 1), (5, 2, 1), (4, 4, 3)])
def test_a_wide_beam_counts_every_alignment(steps, classes, blank):
    logits = np.random.default_rng(steps).normal(size=(2, steps, classes))
    top = 6
    paths, scores = ops.ctc_decode(
        logits, [steps, max(1, steps - 1)], "beam_search", 400, top, mask_index=blank
    )
    assert paths.shape == (top, 2, steps) and paths.dtype is torch.int32
    for item, length in enumerate([steps, max(1, steps - 1)]):
        expected = probabilities(logits[item, :length], blank)[:top]
        for rank in range(top):
            path = [label for label in paths[rank, item].tolist() if label >= 0]
            if rank < len(expected):
                labels, share = expected[rank]
                assert tuple(path) == labels
                # Scores are float32, as Keras's promotion of NumPy's float64 gives.
                assert scores[item, rank].item() == pytest.approx(math.log(share), abs=1e-5)
            else:
                assert path == [] and scores[item, rank] == -math.inf


def test_a_path_that_left_the_beam_and_came_back_is_not_held_twice():
    generator = np.random.default_rng(3)
    for _ in range(20):
        logits = 3 * generator.normal(size=(4, 9, 3))
        paths, scores = ops.ctc_decode(logits, [9, 9, 9, 9], "beam_search", 5, 5)
        for item in range(4):
            rows = [tuple(row) for row in paths[:, item].tolist()]
            alive = [
                row for row, score in zip(rows, scores[item], strict=True) if score > -math.inf
            ]
            assert len(set(alive)) == len(alive)


def test_beam_search_runs_without_looking_at_values():
    """A hidden transfer to the host would raise on `meta`; shapes are those of a graph."""
    lengths = torch.zeros(3, dtype=torch.int64, device="meta")
    paths, scores = _beam_search(torch.zeros(3, 6, 4, device="meta"), lengths, 8, 2, 0)
    assert paths.shape == (2, 3, 6) and scores.shape == (3, 2)


def test_refusals():
    with pytest.raises(ValueError, match="Invalid strategy 'best'"):
        ops.ctc_decode(torch.zeros(1, 2, 2), [2], "best")
    x = ops.ctc_loss.operation(mask_index=0)
    with pytest.raises(ValueError, match="must have the same first dimension"):
        x._check_shape_first_dim("labels", (2, 3), "logits", (3, 4, 5))
