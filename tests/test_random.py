"""Random numbers: distributions, seeds, and that nothing waits for the device."""

import copy
import math
import pickle
import threading

import numpy as np
import pytest
import scipy.stats
import torch

from torchkeras import config, random

COUNT = 20_000
# For each sampler, SciPy's distribution; the seeds are fixed, so the tests cannot fail by chance.
DISTRIBUTIONS = {
    "normal": (lambda s: random.normal((COUNT,), 1.0, 2.0, seed=s), scipy.stats.norm(1.0, 2.0)),
    "uniform": (lambda s: random.uniform((COUNT,), -1.0, 3.0, seed=s), scipy.stats.uniform(-1, 4)),
    "truncated": (
        lambda s: random.truncated_normal((COUNT,), 1.0, 2.0, seed=s),
        scipy.stats.truncnorm(-2, 2, loc=1.0, scale=2.0),
    ),
    "gamma": (lambda s: random.gamma((COUNT,), 2.5, seed=s), scipy.stats.gamma(2.5)),
    "beta": (lambda s: random.beta((COUNT,), 0.7, 2.0, seed=s), scipy.stats.beta(0.7, 2.0)),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_continuous_distributions(name, seed):
    sample, expected = DISTRIBUTIONS[name]
    # P(D > 1.95 / sqrt(n)) = 0.001 for the Kolmogorov-Smirnov distance D.
    distance = scipy.stats.kstest(sample(seed).numpy(), expected.cdf).statistic
    assert distance < 1.95 / math.sqrt(COUNT)


@pytest.mark.parametrize(
    "sample, probabilities",
    [
        (lambda: random.randint((COUNT,), 2, 6, seed=1) - 2, [0.25] * 4),
        (
            lambda: random.binomial((COUNT,), 3, 0.3, seed=1).int(),
            [0.343, 0.441, 0.189, 0.027],
        ),
        (
            lambda: random.categorical(torch.log(torch.tensor([[0.1, 0.2, 0.7]])), COUNT, seed=1)[
                0
            ],
            [0.1, 0.2, 0.7],
        ),
        (
            lambda: (random.dropout(torch.ones(COUNT), 0.3, seed=1) > 0).int(),
            [0.3, 0.7],
        ),
    ],
)
def test_discrete_distributions(sample, probabilities):
    counts = torch.bincount(sample().long(), minlength=len(probabilities)).numpy()
    assert len(counts) == len(probabilities)
    expected = COUNT * np.array(probabilities)
    assert scipy.stats.chisquare(counts, expected).pvalue > 0.001


def test_seeds():
    same = [random.normal((3,), seed=4) for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(random.normal((3,), seed=4), random.normal((3,), seed=5))
    assert not torch.equal(random.normal((3,)), random.normal((3,)))


def test_set_seed_is_remembered_until_the_session_is_cleared():
    random.set_seed(12)
    assert random.get_seed() == 12
    first = random.global_seed_generator()
    assert random.global_seed_generator() is first
    config.run_clear_session_hooks()
    assert random.get_seed() is None
    assert random.global_seed_generator() is not first
    with pytest.raises(ValueError, match="'12'"):
        random.set_seed("12")


def test_threads_have_their_own_global_generator():
    generators = [random.global_seed_generator()]
    thread = threading.Thread(target=lambda: generators.append(random.global_seed_generator()))
    thread.start()
    thread.join()
    assert generators[0] is not generators[1]


def test_a_draw_never_reads_the_device():
    """Reading the value of a `meta` tensor raises, so these draws did not read the state."""
    with torch.device("meta"):
        generator = random.SeedGenerator(3)
        assert generator.state.is_meta
        assert random.normal((2,), seed=generator).is_meta
    assert [generator.draw() for _ in range(3)] == [3, 4, 5]
    assert generator.next().is_meta
    assert generator.draw() == 7


@pytest.mark.parametrize(
    "sample",
    [
        lambda x: random.normal((2, 3)),
        lambda x: random.uniform((2, 3)),
        lambda x: random.uniform(()),
        lambda x: random.truncated_normal((2, 3)),
        lambda x: random.randint((2, 3), 0, 9),
        lambda x: random.gamma((2, 3), 1.0),
        lambda x: random.beta((2, 3), 1.0, 2.0),
        lambda x: random.binomial((2, 3), 4.0, 0.5),
        lambda x: random.dropout(x, 0.5, seed=1),
        lambda x: random.dropout(x, 0.5, noise_shape=(None, 1)),
        lambda x: random.dropout(x, 0.5),
        lambda x: random.shuffle(x, axis=1),
        lambda x: random.categorical(x, 3),
    ],
)
def test_everything_runs_on_meta_and_draws_no_seed_there(sample):
    state = random.global_seed_generator().state.tolist()
    with torch.device("meta"):
        assert sample(torch.ones(2, 3)).is_meta
    assert random.global_seed_generator().state.tolist() == state


def test_results_follow_the_device_of_the_input():
    x = torch.ones(2, 3, device="meta")
    for result in (random.dropout(x, 0.5, seed=1), random.shuffle(x), random.categorical(x, 2)):
        assert result.is_meta


def test_an_assigned_state_is_noticed():
    generator = random.SeedGenerator(3)
    generator.draw()
    generator.state.assign([10, 20])
    assert generator.draw() == 30
    assert generator.state.tolist() == [10, 21]
    with torch.no_grad():
        generator.state.zero_()
    assert generator.draw() == 0


def test_a_replaced_state_is_noticed():
    generator = random.SeedGenerator(3)
    generator.state = torch.nn.Parameter(torch.tensor([7, 8]).int(), requires_grad=False)
    assert generator.draw() == 15


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_from_the_same_place(copier):
    generator = random.SeedGenerator(3)
    generator.draw()
    other = copier(generator)
    assert other.state is not generator.state
    assert [other.draw(), other.draw()] == [4, 5]
    assert generator.draw() == 4


def test_dropout_keeps_the_mean_and_passes_gradients():
    x = torch.full((COUNT,), 2.0, requires_grad=True)
    y = random.dropout(x, 0.25, seed=3)
    kept = y.detach() != 0
    assert torch.equal(y.detach()[kept], torch.full((int(kept.sum()),), 2 / 0.75))
    y.sum().backward()
    torch.testing.assert_close(x.grad, kept / 0.75)


def test_dropout_edges():
    x = torch.tensor([1.0, float("nan")])
    assert random.dropout(x, 0.0) is x
    assert random.dropout(x, 1.0, seed=1).tolist() == [0.0, 0.0]
    rows = random.dropout(torch.ones(50, 4), 0.5, noise_shape=(None, 1), seed=1)
    assert torch.equal(rows, rows[:, :1].expand(50, 4))
    with pytest.raises(ValueError):
        random.dropout(torch.ones(2, 3), 0.5, noise_shape=(2,), seed=1)


@pytest.mark.parametrize("axis", [0, 1])
def test_shuffle_permutes(axis):
    x = torch.arange(12).reshape(4, 3)
    y = random.shuffle(x, axis=axis, seed=2)
    assert not torch.equal(x, y)
    assert torch.equal(y.sort(axis).values, x)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`alpha` must be positive"):
        random.gamma((2,), [1.0, -1.0])
    with pytest.raises(ValueError, match=r"`probabilities` must be in \[0.0, 1.0\]"):
        random.binomial((2,), 3, 1.5)
    with pytest.raises(ValueError, match="two axes"):
        random.categorical(torch.ones(3), 1)
    with pytest.raises(ValueError, match="randint"):
        random.uniform((2,), dtype="int32")
    with pytest.raises(ValueError, match="'x'"):
        random.draw_seed("x")
    with pytest.raises(ValueError, match="sede"):
        random.SeedGenerator(sede=1)


def test_compiled_code_may_draw_from_a_seed_generator():
    generator = random.SeedGenerator(3)

    @torch.compile(fullgraph=True, backend="eager")
    def noisy(x):
        return random.dropout(x, 0.5, seed=generator) + random.normal((100,), seed=generator)

    x = torch.zeros(100)
    assert not torch.equal(noisy(x), noisy(x))
