"""Normalization layers against closed forms and torch."""

import multiprocessing

import numpy as np
import pytest
import torch

from torchkeras import layers


@pytest.mark.parametrize(("shape", "axis"), [((6, 3), -1), ((4, 5, 3), -1), ((2, 3, 4, 5), 1)])
def test_batch_statistics(shape, axis):
    layer = layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-3, dtype="float64")
    x = torch.randn(shape, dtype=torch.float64) * 3 + 2
    y = layer(x, training=True)
    axes = tuple(i for i in range(len(shape)) if i != axis % len(shape))
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
    torch.testing.assert_close(y, (x - mean) / torch.sqrt(variance + 1e-3))
    torch.testing.assert_close(layer.moving_mean.detach(), 0.1 * mean.flatten())
    torch.testing.assert_close(layer.moving_variance.detach(), 0.9 + 0.1 * variance.flatten())
    expected = (x - 0.1 * mean) / torch.sqrt(0.9 + 0.1 * variance + 1e-3)
    torch.testing.assert_close(layer(x), expected)


def test_gradients_are_those_of_torch():
    ours, theirs = layers.BatchNormalization(epsilon=1e-5), torch.nn.BatchNorm1d(3, eps=1e-5)
    x = torch.randn(8, 3, requires_grad=True)
    weights = torch.randn(8, 3)
    (ours(x, training=True) * weights).sum().backward()
    grad, x.grad = x.grad, None
    (theirs(x) * weights).sum().backward()
    torch.testing.assert_close(grad, x.grad)
    torch.testing.assert_close(ours.gamma.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.beta.grad, theirs.bias.grad)


def test_statistics_are_state_without_gradients():
    layer = layers.BatchNormalization()
    layer(torch.randn(4, 3), training=True)
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert [w.name for w in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]
    assert not layer.moving_mean.requires_grad
    assert set(layer.state_dict()) == {"gamma", "beta", "moving_mean", "moving_variance"}


def test_train_mode_of_torch_counts_too():
    layer = layers.BatchNormalization()
    x = torch.randn(8, 3)
    layer(x)
    assert layer.moving_mean.tolist() == [0.0] * 3
    layer.train()
    layer(x)
    assert all(layer.moving_mean.detach() != 0)


def test_masked_positions_do_not_count():
    layer = layers.BatchNormalization(momentum=0.0)
    x = torch.randn(4, 5, 3)
    mask = torch.rand(4, 5) < 0.6
    mask[0, 0] = True
    layer(x, training=True, mask=mask)
    # Keras adds its epsilon of 1e-7 to the count.
    np.testing.assert_allclose(layer.moving_mean.detach(), x[mask].mean(0), rtol=1e-5, atol=1e-6)


def test_renorm_without_clipping_equals_inference_with_the_same_statistics():
    layer = layers.BatchNormalization(renorm=True, momentum=1.0, renorm_momentum=1.0, epsilon=0.0)
    x = torch.randn(64, 3)
    layer(x)
    torch.testing.assert_close(layer(x, training=True), layer(x))


def test_no_host_synchronization():
    with torch.device("meta"):
        for kwargs in ({}, {"renorm": True}, {"axis": 1}):
            layer = layers.BatchNormalization(**kwargs)
            x = torch.ones(2, 4, 5, 3, requires_grad=True)
            layer(x, training=True).sum().backward()
            assert x.grad.device.type == "meta"
        layer(torch.ones(2, 4, 5, 3), training=True, mask=torch.ones(2, 4, 5))
        layers.LayerNormalization(axis=1)(x).sum().backward()


@pytest.mark.parametrize("axis", [-1, (1, 2), 1, (0, 2)])
def test_layer_normalization(axis):
    layer = layers.LayerNormalization(axis=axis, epsilon=0.01, dtype="float64")
    x = torch.randn(3, 4, 5, dtype=torch.float64) + 1
    axes = (axis,) if isinstance(axis, int) else axis
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    torch.testing.assert_close(layer(x), (x - mean) / torch.sqrt(variance + 0.01))


def test_half_precision_statistics_do_not_overflow():
    x = torch.full((64, 2), 300.0).half() + torch.randn(64, 2).half()
    layer = layers.BatchNormalization(momentum=0.0, dtype="mixed_float16")
    assert layer(x, training=True).isfinite().all()
    np.testing.assert_allclose(layer.moving_mean.detach(), x.float().mean(0), rtol=1e-3)
    assert layers.LayerNormalization(dtype="mixed_float16")(x * 100).isfinite().all()


# Statistics over several ranks -------------------------------------------------------------------

RANKS = 2


def train_on_rank(rank, folder, batch, mask, results):
    """One step of a synchronized layer on this rank's part of a batch."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS
    )
    torch.set_num_threads(1)
    results.put((rank, *one_step(True, batch[rank::RANKS], mask[rank::RANKS])))
    torch.distributed.destroy_process_group()


def one_step(synchronized, x, mask):
    layer = layers.BatchNormalization(momentum=0.5, synchronized=synchronized)
    x = x.clone().requires_grad_()
    outputs = [layer(x, training=True), layer(x, training=True, mask=mask)]
    sum((y * y.cumsum(-1)).sum() for y in outputs).backward()
    tensors = [*outputs, x.grad, layer.moving_mean, layer.moving_variance]
    return [tensor.detach().numpy() for tensor in tensors]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_synchronized_statistics_are_those_of_the_whole_batch(tmp_path):
    batch = torch.randn(8, 5, 3) * torch.arange(1.0, 9.0).view(8, 1, 1)
    mask = torch.rand(8, 5) < 0.7
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    arguments = (str(tmp_path), batch, mask, results)
    ranks = [context.Process(target=train_on_rank, args=(i, *arguments)) for i in range(RANKS)]
    for rank in ranks:
        rank.start()
    found = dict((rank, values) for rank, *values in (results.get(timeout=60) for _ in ranks))
    for rank in ranks:
        rank.join()
    expected = one_step(False, batch, mask)
    for rank, values in found.items():
        for value, whole in zip(values[:3], expected[:3], strict=True):
            np.testing.assert_allclose(value, whole[rank::RANKS], rtol=1e-4, atol=1e-5)
        for value, whole in zip(values[3:], expected[3:], strict=True):
            np.testing.assert_allclose(value, whole, rtol=1e-5)


def test_a_subclass_may_have_its_own_moments():
    class Halved(layers.BatchNormalization):
        def _moments(self, inputs, mask):
            mean, variance = super()._moments(inputs, mask)
            return mean / 2, variance

    x, layer = torch.randn(8, 3) + 4, Halved(momentum=0.0)
    layer(x, training=True)
    torch.testing.assert_close(layer.moving_mean.detach(), x.mean(0) / 2)


# Groups, root mean squares, unit length, singular values ------------------------------------------


@pytest.mark.parametrize(("groups", "axis"), [(1, -1), (2, 1), (6, -1), (-1, 2)])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=str)
def test_group_normalization(groups, axis, options):
    layer = layers.GroupNormalization(
        groups,
        axis,
        epsilon=0.01,
        gamma_initializer="random_normal",
        beta_initializer="random_normal",
        dtype="float64",
        **options,
    )
    x = torch.randn(3, 6, 6, 6, dtype=torch.float64, requires_grad=True)
    outputs = layer(x)
    first = x.movedim(axis, 1)
    parts = first.reshape(3, layer.groups, -1)
    variance, mean = torch.var_mean(parts, -1, correction=0, keepdim=True)
    expected = ((parts - mean) / torch.sqrt(variance + 0.01)).reshape(first.shape)
    channels = (6, 1, 1)
    if layer.gamma is not None:
        expected = expected * layer.gamma.view(channels)
    if layer.beta is not None:
        expected = expected + layer.beta.view(channels)
    torch.testing.assert_close(outputs, expected.movedim(1, axis))
    (outputs * x.detach()).sum().backward()
    assert all(weight.grad is not None for weight in layer.weights)


def test_images_stay_channels_last():
    x = torch.randn(2, 8, 8, 16)
    assert layers.GroupNormalization(4)(x).is_contiguous()


@pytest.mark.parametrize("channels", [3, None])
def test_groups_must_divide_the_channels(channels):
    with pytest.raises(ValueError, match=r"groups: 2\n  axis: -1\n  input_shape: \(4, "):
        layers.GroupNormalization(2).build((4, channels))
    with pytest.raises(ValueError, match="groups=0"):
        layers.GroupNormalization(0)
    with pytest.raises(ValueError, match="axis 0"):
        layers.GroupNormalization(2, axis=0).build((4, 6))


def test_rms_normalization_is_torchs():
    ours, theirs = layers.RMSNormalization(epsilon=1e-5), torch.nn.RMSNorm(6, eps=1e-5)
    x = torch.randn(4, 6, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(
        layers.RMSNormalization()(torch.tensor([[3, -3]])).abs().mean(), torch.tensor(1.0)
    )


@pytest.mark.parametrize("axis", [-1, [1, 2], [0]])
def test_unit_normalization_gives_length_one(axis):
    y = layers.UnitNormalization(axis)(torch.randn(3, 4, 5))
    lengths = torch.linalg.vector_norm(y, dim=axis)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize("make", [lambda: layers.Dense(5), lambda: layers.Conv2D(5, 3)])
def test_spectral_normalization_divides_by_the_largest_singular_value(make):
    layer = layers.SpectralNormalization(make(), power_iterations=50)
    x = torch.randn(2, 6, 6, 4)
    untouched = layer(x)
    torch.testing.assert_close(untouched, layer.layer(x))
    before = layer.kernel.detach().clone()
    layer(x, training=True)
    largest = torch.linalg.matrix_norm(before.reshape(-1, 5), 2)
    torch.testing.assert_close(layer.kernel.detach(), before / largest)
    assert layer.kernel is layer.layer.kernel
    layer(x, training=True).sum().backward()
    assert layer.layer.kernel.grad is not None


def test_spectral_normalization_in_mixed_precision_keeps_the_kernel_in_float32():
    layer = layers.SpectralNormalization(layers.Dense(3, dtype="mixed_bfloat16"))
    layer(torch.randn(2, 4), training=True)
    assert layer.kernel.dtype == torch.float32 and layer.vector_u.dtype == torch.float32


def test_spectral_normalization_needs_a_kernel():
    with pytest.raises(ValueError, match="ReLU object has no attribute 'kernel'"):
        layers.SpectralNormalization(layers.ReLU())(torch.ones(2, 3))
    with pytest.raises(ValueError, match="power_iterations=0"):
        layers.SpectralNormalization(layers.Dense(2), 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.GroupNormalization(2),
        lambda: layers.RMSNormalization(),
        lambda: layers.UnitNormalization(),
        lambda: layers.BatchNormalization(),
    ],
)
def test_compiles(make):
    layer, x = make(), torch.randn(2, 3, 4)
    expected = layer(x)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


@pytest.mark.parametrize("shape", [(2, 3, 3, 4), (2, 3, 3, 3, 4)])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}])
def test_group_normalization_of_inputs_without_gradient(options, shape):
    # The kernel of torch 2.13 ends the process here.
    x = torch.randn(shape)
    layer = layers.GroupNormalization(2, **options)
    layer(x)
    grads = [
        torch.autograd.grad(layer(v).square().mul(x).sum(), layer.trainable_weights)
        for v in (x, x.clone().requires_grad_())
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)
