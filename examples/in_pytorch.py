"""A Keras model as a citizen of PyTorch: what the ecosystem does with modules, it does with it.

    python examples/in_pytorch.py            # everything whose packages are installed
    python examples/in_pytorch.py func prune # some of it

Lightning, accelerate, torchmetrics, transformers, timm and torchvision are optional:
`pip install 'torchkeras[ecosystem]'`.
"""

import argparse
import importlib.util
import warnings

import numpy as np
import torch
from torch.nn.utils import prune as pruning

from torchkeras import Input, Model, Sequential, layers, losses

LOSS = "sparse_categorical_crossentropy"


def data():
    """Return 64 samples of 8 features, in 3 classes."""
    x = np.random.default_rng(0).standard_normal((64, 8)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0)


def classifier():
    torch.manual_seed(0)
    stack = [layers.Dense(16, activation="relu"), layers.BatchNormalization()]
    return Sequential([Input((8,)), *stack, layers.Dense(3, activation="softmax")])


def fitted(model, x, y, **options):
    """Train three epochs, and return how the loss fell."""
    model.compile("adam", LOSS, **options)
    history = model.fit(x, y, epochs=3, batch_size=16, verbose=0).history
    return f"loss {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f}"


def batches():
    x, y = map(torch.from_numpy, data())
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=16)


def likelihood(model, x, y):
    return torch.nn.functional.nll_loss(model(x).log(), y)


def state_dict():
    """Weights go from one model to another, or to a file, by PyTorch's own functions."""
    x, _ = data()
    model, other = classifier(), classifier()
    model.layers[0].kernel.data.mul_(2)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
    return ", ".join(model.state_dict())


def compile():
    """`torch.compile` takes the model whole."""
    x = torch.from_numpy(data()[0])
    model = classifier()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x))
    return "one graph"


def func():
    """Gradients of each sample by itself, by `vmap` over `grad` of a functional call."""
    x = torch.from_numpy(data()[0])
    model = Sequential([Input((8,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    weights = dict(model.named_parameters())

    def output(weights, sample):
        return torch.func.functional_call(model, weights, (sample[None],)).sum()

    gradients = torch.func.vmap(torch.func.grad(output), (None, 0))(weights, x)
    total = torch.autograd.grad(model(x).sum(), list(weights.values()))
    for each, whole in zip(gradients.values(), total, strict=True):
        torch.testing.assert_close(each.sum(0), whole, rtol=1e-4, atol=1e-5)
    return {name: tuple(gradient.shape) for name, gradient in gradients.items()}


def hooks():
    """Forward and backward hooks fire, in `predict` and `fit` too."""
    x, y = data()
    model, seen = classifier(), []
    first = model.layers[0]

    def look(layer, args, out):
        if not out.is_meta:  # `fit` first works shapes out, with tensors that hold nothing
            seen.append(tuple(out.shape))

    first.register_forward_hook(look)
    first.kernel.register_hook(lambda gradient: seen.append(tuple(gradient.shape)))
    model.predict(x, verbose=0, batch_size=64)
    model.compile("sgd", LOSS)
    model.fit(x, y, batch_size=64, verbose=0)
    assert seen == [(64, 16), (64, 16), (8, 16)], seen
    return seen


class Positive(torch.nn.Module):
    """A parametrization: no weight below zero."""

    def forward(self, weight):
        return weight.clamp(min=0)


def parametrize():
    """A weight computed from another one, here without negative values."""
    model = classifier()
    torch.nn.utils.parametrize.register_parametrization(model.layers[0], "kernel", Positive())
    fell = fitted(model, *data())
    assert (model.layers[0].kernel >= 0).all()
    return fell


def weight_norm():
    """Weight norm trains the length and the direction of each column; then they are one again."""
    x, y = data()
    model = classifier()
    layer = model.layers[0]
    torch.nn.utils.parametrizations.weight_norm(layer, "kernel", dim=1)
    fell = fitted(model, x, y)
    before = model.predict(x, verbose=0)
    torch.nn.utils.parametrize.remove_parametrizations(layer, "kernel")
    np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-4, atol=1e-6)
    return fell


def prune():
    """Half of the weights of a layer are zero, and stay so in training."""
    model = classifier()
    layer = model.layers[0]
    pruning.l1_unstructured(layer, "kernel", 0.5)
    fell = fitted(model, *data())
    pruning.remove(layer, "kernel")
    assert (layer.kernel == 0).float().mean() == 0.5
    return fell


def prune_globally():
    """The smallest quarter of all weights is zero, wherever they are, in convolutions too."""
    images = np.random.default_rng(0).random((64, 8, 8, 3)).astype("float32")
    torch.manual_seed(0)
    stack = [layers.Conv2D(8, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    model = Sequential([Input((8, 8, 3)), *stack, layers.Dense(3, activation="softmax")])
    pairs = [(layer, "kernel") for layer in (model.layers[0], model.layers[-1])]
    pruning.global_unstructured(pairs, pruning_method=pruning.L1Unstructured, amount=0.25)
    fell = fitted(model, images, data()[1])
    for pair in pairs:
        pruning.remove(*pair)
    zeros = [int((layer.kernel == 0).sum()) for layer, _ in pairs]
    assert sum(zeros) == (3 * 3 * 3 * 8 + 8 * 3) / 4
    return f"{fell}; zeros {zeros}"


def optim():
    """Optimizers and schedulers of `torch.optim`, in a loop of one's own or in `compile`."""
    model = classifier().train()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    seen = []
    for _ in range(5):
        for x, y in batches():
            loss = likelihood(model, x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            seen.append(loss.item())
    assert seen[-1] < seen[0] and optimizer.param_groups[0]["lr"] < 1e-6
    model.compile(torch.optim.SGD(model.parameters(), 0.01), LOSS)
    model.fit(*data(), verbose=0)
    return f"loss {seen[0]:.3f} -> {seen[-1]:.3f}"


def torchmetrics():
    """A metric of torchmetrics in `compile(metrics=…)` says what the model's own says."""
    import torchmetrics

    x, y = data()
    model = classifier()
    metric = torchmetrics.Accuracy("multiclass", num_classes=3, average="micro")
    model.compile("adam", LOSS, metrics=[metric, "accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    theirs = next(value for name, value in logs.items() if name.startswith("multiclass"))
    np.testing.assert_allclose(theirs, logs["accuracy"], rtol=1e-6)
    return logs


def lightning():
    """A `LightningModule` around a model."""
    import lightning

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.seen = classifier().train(), []

        def training_step(self, batch, index):
            loss = likelihood(self.model, *batch)
            self.seen.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.model.parameters(), 0.01)

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    module = Lit()
    trainer = lightning.Trainer(
        max_epochs=4, accelerator="cpu", enable_checkpointing=False, **quiet
    )
    trainer.fit(module, batches())
    assert module.seen[-1] < module.seen[0]
    return f"loss {module.seen[0]:.3f} -> {module.seen[-1]:.3f}"


def accelerate():
    """accelerate prepares a model like any module."""
    import accelerate

    accelerator = accelerate.Accelerator(cpu=True)
    model = classifier().train()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model, optimizer, loader = accelerator.prepare(model, optimizer, batches())
    seen = []
    for _ in range(4):
        for x, y in loader:
            loss = likelihood(model, x, y)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            seen.append(loss.item())
    assert seen[-1] < seen[0]
    return f"loss {seen[0]:.3f} -> {seen[-1]:.3f}"


def transformers():
    """A BERT of Hugging Face inside a functional model, and one with `fit` of its own."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    sizes = {"hidden_size": 16, "intermediate_size": 32, "vocab_size": 20}
    config = BertConfig(
        num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16, **sizes
    )
    tokens = np.random.default_rng(0).integers(1, 20, (32, 6)).astype("int32")
    labels = (tokens[:, 0] > 9).astype("int64")
    torch.manual_seed(0)
    ids = Input((6,), dtype="int32")
    pooled = Model.from_torch(BertModel(config), output="pooler_output")(ids)
    model = Model(ids, layers.Dense(2, activation="softmax")(pooled))
    fell = fitted(model, tokens, labels)
    whole = Model.from_torch(BertForSequenceClassification(config), output="logits")
    whole.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
    named = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
    whole.fit(named, labels, verbose=0)
    return f"{fell}; {whole.count_params()} weights"


def timm():
    """A backbone of timm on images with channels last; torchvision's go in the same way."""
    import timm

    torch.manual_seed(0)
    return _backbone(timm.create_model("resnet10t", pretrained=False, num_classes=0))


def torchvision():
    """A backbone of torchvision, frozen, under a head that is trained."""
    import torchvision

    torch.manual_seed(0)
    return _backbone(torchvision.models.mobilenet_v3_small(weights=None), trainable=False)


def _backbone(module, trainable=True):
    backbone = layers.TorchModuleWrapper(module, name="backbone")
    backbone.trainable = trainable
    images = Input((32, 32, 3))
    features = backbone(layers.Permute((3, 1, 2))(images))
    model = Model(images, layers.Dense(2, activation="softmax")(features))
    pictures = np.random.default_rng(0).random((8, 32, 32, 3)).astype("float32")
    fell = fitted(model, pictures, np.arange(8) % 2)
    return f"{fell}; {len(model.trainable_variables)} weights trained"


TOPICS = [state_dict, compile, func, hooks]
TOPICS += [parametrize, weight_norm, prune, prune_globally, optim]
PACKAGES = [torchmetrics, lightning, accelerate, transformers, timm, torchvision]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("topics", nargs="*", help="default: all")
    chosen = parser.parse_args().topics
    warnings.filterwarnings("ignore")
    for topic in TOPICS + PACKAGES:
        name = topic.__name__
        if chosen and name not in chosen:
            continue
        if topic in PACKAGES and importlib.util.find_spec(name) is None:
            print(f"{name:15}not installed")
            continue
        print(f"{name:15}{topic()}")


if __name__ == "__main__":
    main()
