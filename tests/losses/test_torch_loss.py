"""PyTorch's losses through `get`: argument order, targets, weights, masks, files."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchkeras import losses

torch.manual_seed(0)
LOGITS = torch.randn(6, 4)
LABELS = torch.tensor([0, 3, 1, 2, 2, 0])
TARGETS = torch.rand(6, 4)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": torch.rand(4)}])
def test_class_numbers(shape, dtype, options):
    module = nn.CrossEntropyLoss(**options)
    loss = losses.get(module)
    torch.testing.assert_close(
        loss(LABELS.reshape(shape).to(dtype), LOGITS), module(LOGITS, LABELS)
    )
    assert loss.name == "cross_entropy_loss"


def test_class_probabilities_and_sequences():
    module = nn.CrossEntropyLoss()
    probs = TARGETS.softmax(-1)
    torch.testing.assert_close(losses.get(module)(probs.double(), LOGITS), module(LOGITS, probs))
    sequence = torch.randn(2, 4, 3)  # PyTorch has the classes in axis 1
    labels = torch.randint(0, 4, (2, 3))
    torch.testing.assert_close(losses.get(module)(labels, sequence), module(sequence, labels))


@pytest.mark.parametrize("module", [nn.MSELoss(), nn.L1Loss(reduction="sum"), nn.SmoothL1Loss()])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_elementwise_losses_align_ranks_and_dtypes(module, shape):
    y_pred = torch.randn(6, 1)
    expected = module(y_pred, LABELS.float().unsqueeze(1))
    torch.testing.assert_close(losses.get(module)(LABELS.reshape(shape), y_pred), expected)


def test_order_of_arguments():
    module = nn.KLDivLoss(reduction="batchmean")
    log_probs, probs = LOGITS.log_softmax(-1), TARGETS.softmax(-1)
    torch.testing.assert_close(losses.get(module)(probs, log_probs), module(log_probs, probs))


def test_functions_and_classes():
    expected = F.cross_entropy(LOGITS, LABELS)
    torch.testing.assert_close(losses.get(F.cross_entropy)(LABELS, LOGITS), expected)
    torch.testing.assert_close(losses.get(nn.CrossEntropyLoss)(LABELS, LOGITS), expected)
    resolved = losses.resolve(nn.CrossEntropyLoss(), (6,), (6, 4))
    torch.testing.assert_close(resolved(LABELS, LOGITS), expected)


def test_own_module():
    class Distance(nn.Module):
        def forward(self, input, target):
            return (input - target).clamp(min=0).mean()

    loss = losses.get(Distance())
    assert loss(torch.zeros(2, 1), torch.ones(2, 1)) == 1.0
    assert loss(torch.ones(2, 1), torch.zeros(2, 1)) == 0.0
    with pytest.raises(ValueError, match="cannot be weighted"):
        loss(torch.zeros(2, 1), torch.ones(2, 1), torch.ones(2))
    with pytest.raises(NotImplementedError, match="cannot be saved"):
        losses.serialize(loss)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("make", [nn.MSELoss, nn.CrossEntropyLoss])
def test_sample_weights(make, reduction):
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5, 0.0, 1.0])
    target = LABELS if make is nn.CrossEntropyLoss else TARGETS
    values = make(reduction="none")(LOGITS, target)
    values = (values if values.dim() == 1 else values.mean(-1)) * weights
    expected = {"mean": values.mean(), "sum": values.sum(), "none": values}[reduction]
    loss = losses.get(make(reduction=reduction))
    torch.testing.assert_close(loss(target, LOGITS, weights), expected)


def test_masks():
    y_pred = torch.randn(2, 3, 4)
    y_pred._keras_mask = torch.tensor([[True, True, False], [True, False, False]])
    target = torch.zeros(2, 3, 4)
    expected = y_pred[y_pred._keras_mask].square().mean()
    torch.testing.assert_close(losses.get(nn.MSELoss())(target, y_pred), expected)


@pytest.mark.parametrize(
    "module",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0, 4.0]), label_smoothing=0.1),
        nn.HuberLoss(delta=0.3, reduction="sum"),
        nn.SmoothL1Loss(beta=0.5),
    ],
)
def test_configs(module):
    loss = losses.get(module)
    again = losses.deserialize(losses.serialize(loss))
    target = LABELS if isinstance(module, nn.CrossEntropyLoss) else TARGETS
    torch.testing.assert_close(again(target, LOGITS), module(LOGITS, target))
    assert again.get_config() == loss.get_config()


def test_configs_name_losses_only():
    config = losses.serialize(losses.get(nn.MSELoss()))
    for name in ("Linear", "Module", "_Loss.__init__", "F"):
        config["config"]["torch_class"] = name
        with pytest.raises(ValueError, match="Not a loss"):
            losses.deserialize(config)


def test_class_weights_move_with_the_predictions():
    loss = losses.get(nn.CrossEntropyLoss(weight=torch.rand(4)))
    assert loss(LABELS.to("meta"), LOGITS.to("meta")).is_meta
