"""`dropin.tf.strategies` in a process that is alone; `tests/distribution` runs them in several."""

import pytest
import torch

from torchkeras import layers, metrics, optimizers
from torchkeras.dropin.tf import nn, strategies
from torchkeras.dropin.tf.data import Dataset
from torchkeras.dropin.tf.modules import Variable
from torchkeras.dropin.tf.names import DATA_EXPERIMENTAL
from torchkeras.graph.context import CONTEXT

TABLE = strategies.DISTRIBUTE


def test_one_replica():
    strategy = strategies.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        v = Variable(1.0)
        assert TABLE["get_strategy"]() is strategy and TABLE["has_strategy"]()
    assert TABLE["get_strategy"]() is not strategy and not TABLE["has_strategy"]()
    assert strategy.run(lambda x, k: x + k, (v,), {"k": 1}).item() == 2.0
    assert strategy.reduce("SUM", torch.ones(3), axis=None).tolist() == [1, 1, 1]
    assert strategy.reduce(strategies.ReduceOp.MEAN, [1.0, 3.0], axis=0)[0].item() == 1.0
    assert strategy.reduce(strategies.ReduceOp.MEAN, torch.tensor([1.0, 3.0]), axis=0) == 2.0
    assert strategy.reduce(strategies.ReduceOp.SUM, torch.ones(3), axis=0).item() == 3.0
    assert strategy.experimental_local_results(3) == (3,) and strategy.gather(v, 0) is v
    made = strategy.distribute_datasets_from_function(lambda c: c.get_per_replica_batch_size(8))
    assert made == 8 and strategy.experimental_distribute_dataset(made) == 8
    resolver = strategy.cluster_resolver
    assert resolver.task_type is None and resolver.cluster_spec().as_dict() == {}
    with pytest.raises(ValueError, match="9 is not divisible by num_replicas_in_sync 2"):
        TABLE["InputContext"](2).get_per_replica_batch_size(9)


def test_what_a_replica_knows():
    strategy = strategies.Strategy()

    def inside():
        context = TABLE["get_replica_context"]()
        assert context.strategy is strategy and not TABLE["in_cross_replica_context"]()
        assert (context.replica_id_in_sync_group, context.num_replicas_in_sync) == (0, 1)
        return context.all_reduce("sum", torch.tensor(2.0)).item()

    assert strategy.run(inside) == 2.0
    assert TABLE["get_replica_context"]() is None and TABLE["in_cross_replica_context"]()


def test_a_loop_of_ones_own():
    """On one replica it is what `apply` does with the mean of the batch."""
    strategy = strategies.Strategy()
    with strategy.scope():
        w, optimizer = Variable([2.0]), optimizers.SGD(0.1)
    rows = strategy.experimental_distribute_dataset(Dataset.range(4).batch(4))

    def step(x):
        loss = nn.NN["compute_average_loss"](x * w, global_batch_size=4)
        loss = loss + nn.NN["scale_regularization_loss"](w.square())
        optimizer.apply(torch.autograd.grad(loss, [w]), [w])
        return loss

    with torch.enable_grad():
        losses = [strategy.run(step, (x,)) for x in rows]
    assert strategy.reduce("SUM", losses[0], axis=None).item() == 1.5 * 2 + 4
    assert w.item() == pytest.approx(2 - 0.1 * (1.5 + 4))


def test_what_is_made_in_a_scope():
    made = strategies._Made()
    plain = layers.Layer.__init__
    with made.noting():
        dense, mean = layers.BatchNormalization(), metrics.Mean()
        outer = optimizers.LossScaleOptimizer(optimizers.SGD())
    assert layers.Layer.__init__ is plain
    dense.build((None, 2))
    assert made.layers == [dense] and made.metrics == [mean] and made.optimizers == [outer]
    assert [w.name for w in made.variables] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert made.non_trainable_variables == made.variables[2:]


def test_scalars_of_one_of_several_processes_count_by_its_share():
    mean = metrics.Mean()
    CONTEXT.share = 0.25
    try:
        mean.update_state(4.0)
        # In `fit` the parts are means, which are weighted later.
        assert nn.NN["compute_average_loss"](torch.ones(2), global_batch_size=8) == 1.0
    finally:
        CONTEXT.share = None
    assert (mean.total.item(), mean.count.item()) == (1.0, 0.25)


def test_what_is_not_there():
    with pytest.raises(NotImplementedError, match="torchrun"):
        strategies.MirroredStrategy(["GPU:0", "GPU:1"])
    with pytest.raises(NotImplementedError, match="torchrun"):
        TABLE["TPUStrategy"]()
    assert DATA_EXPERIMENTAL["AutoShardPolicy"].DATA == "data"
