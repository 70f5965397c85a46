"""From PyTorch: modules with `fit`, and weights in PyTorch's layouts."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from torchkeras import Input, Model, Sequential, layers, losses, models
from torchkeras.models import TorchModel

L = layers


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(4, 2)
        self.drop = nn.Dropout(0.5)

    def forward(self, a, b):
        hidden = self.drop(self.left(a) + self.right(b))
        return {"logits": hidden, "hidden": hidden.detach()}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.random((64, 3), "float32"), rng.random((64, 4), "float32"), rng.integers(0, 2, 64)


def test_a_module_is_trained_evaluated_and_predicts(data):
    a, b, y = data
    torch.manual_seed(0)
    module = TwoInputs()
    before = module.left.weight.detach().clone()
    model = Model.from_torch(module, output="logits")
    assert isinstance(model, Model) and not model.training and model.name.startswith("two_inputs")
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit([a, b], y, epochs=3, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert not torch.equal(before, module.left.weight)
    assert set(model.evaluate([a, b], y, verbose=0, return_dict=True)) == {"accuracy", "loss"}
    module.eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(a), torch.from_numpy(b))["logits"]
    np.testing.assert_allclose(model.predict([a, b], verbose=0), expected, rtol=1e-5)
    by_name = model.predict({"b": b, "a": a}, verbose=0)
    np.testing.assert_allclose(by_name, expected, rtol=1e-5)
    assert model.count_params() == 18 and len(model.trainable_variables) == 4
    assert model.to_torch() is module


def test_weights_are_saved_and_loaded(data, tmp_path):
    a, b, _ = data
    model, other = Model.from_torch(TwoInputs(), "logits"), Model.from_torch(TwoInputs(), "logits")
    for name in ("w.weights.h5", "w.safetensors"):
        model.save_weights(tmp_path / name)
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(
            model.predict([a, b], verbose=0), other.predict([a, b], verbose=0)
        )
        other.module.left.weight.data.zero_()


def test_whole_files_need_the_module_or_trust(tmp_path):
    model = Model.from_torch(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), name="m")
    model.save(tmp_path / "m.keras")
    x = np.ones((2, 3), "float32")
    with pytest.raises(ValueError, match="custom_objects"):
        models.load_model(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras", safe_mode=False)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    offered = {"Sequential": lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU())}
    loaded = models.load_model(tmp_path / "m.keras", custom_objects=offered)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("output", [0, lambda pair: pair[0], None])
def test_parts_of_a_result(output):
    model = Model.from_torch(nn.GRU(3, 2, batch_first=True), output)
    result = model(torch.ones(4, 5, 3))
    first = result[0] if output is None else result
    assert first.shape == (4, 5, 2)


def test_what_is_no_module_is_refused():
    with pytest.raises(ValueError, match="makes a model of a torch.nn.Module"):
        Model.from_torch(lambda x: x)
    assert isinstance(Model.from_torch(nn.ReLU()), TorchModel)


# Weights -----------------------------------------------------------------------------------------


class Plain(nn.Module):
    """As someone would write it in PyTorch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, eps=1e-3)
        self.up = nn.ConvTranspose2d(4, 6, 2, stride=2)
        self.depth = nn.Conv2d(6, 6, 3, groups=6)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        return self.fc(self.depth(self.up(x)).mean((2, 3)))


def keras_form(prefix=""):
    return Sequential(
        [
            Input((8, 8, 3)),
            L.Conv2D(4, 3, padding="same", name=f"{prefix}conv"),
            L.BatchNormalization(name=f"{prefix}norm"),
            L.ReLU(),
            L.Conv2DTranspose(6, 2, 2, name=f"{prefix}up"),
            L.DepthwiseConv2D(3, name=f"{prefix}depth"),
            L.GlobalAveragePooling2D(),
            L.Dense(2, name=f"{prefix}fc"),
        ]
    )


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    module = Plain().train()
    module(torch.randn(16, 3, 8, 8) + 1)  # moves the running statistics
    return module.eval()


@pytest.mark.parametrize(
    "prefix, how", [("", "module"), ("", "safetensors"), ("my_", "state"), ("my_", "pt")]
)
def test_weights_of_torch_layers(plain, prefix, how, tmp_path):
    model, path = keras_form(prefix), str(tmp_path / f"w.{how}")
    if how == "safetensors":
        save_file(plain.state_dict(), path)
    elif how == "pt":
        torch.save(plain.state_dict(), path)
    source = {"module": plain, "state": plain.state_dict()}.get(how, path)
    model.load_torch_weights(source)
    x = torch.randn(2, 8, 8, 3)
    torch.testing.assert_close(model(x), plain(x.permute(0, 3, 1, 2)))


@pytest.mark.parametrize(
    "module, layer",
    [
        (nn.LSTM(3, 4, batch_first=True), lambda: L.LSTM(4, return_sequences=True)),
        (nn.GRU(3, 4, batch_first=True), lambda: L.GRU(4, return_sequences=True)),
        (nn.RNN(3, 4, batch_first=True), lambda: L.SimpleRNN(4, return_sequences=True)),
        (
            nn.LSTM(3, 4, batch_first=True, bidirectional=True),
            lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)),
        ),
    ],
)
def test_weights_of_recurrent_layers(module, layer):
    model = Sequential([Input((5, 3)), layer()])
    model.load_torch_weights(module)
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(model(x), module(x)[0])


def test_weights_of_attention_and_embedding():
    x = Input((5,), dtype="int32")
    y = L.Embedding(9, 8, name="embed")(x)
    model = Model(x, L.LayerNormalization(name="n")(L.MultiHeadAttention(2, 4, name="att")(y, y)))
    embed, norm = nn.Embedding(9, 8), nn.LayerNorm(8, eps=1e-3)
    att = nn.MultiheadAttention(8, 2, batch_first=True)
    for parameter in [*norm.parameters(), *att.parameters()]:
        nn.init.normal_(parameter)
    module = nn.ModuleDict({"words": embed, "att": att, "n": norm})
    model.load_torch_weights(module, names={"words": "embed"})
    tokens = torch.tensor([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]])
    y = embed(tokens)
    torch.testing.assert_close(model(tokens), norm(att(y, y, y)[0]))


@pytest.mark.architectures("mobilenet_v2", "lstm_classifier", "transformer", "wide_and_deep", "vae")
def test_a_round_trip_through_pytorch(architecture):
    weights = [w for w in architecture.weights if w.trainable or "moving" in w.path]
    before = [weight.detach().clone() for weight in weights]
    module = architecture.to_torch()
    with torch.no_grad():
        for weight in weights:
            weight.zero_()
    architecture.load_torch_weights(module)
    for weight, value in zip(weights, before, strict=True):
        assert torch.equal(weight, value)


def test_weights_that_do_not_fit(plain):
    model = keras_form()
    before = [weight.detach().clone() for weight in model.weights]
    state = plain.state_dict()
    state["fc.weight"] = torch.ones(3, 6)
    state["extra"] = state.pop("conv.bias")
    with pytest.raises(ValueError) as error:
        model.load_torch_weights(state)
    for line in ("missing: conv.bias", "unexpected: extra", "fc.weight: (3, 6) instead of (2, 6)"):
        assert line in str(error.value)
    with pytest.raises(ValueError, match="parts that the source lacks: convolution"):
        model.load_torch_weights(plain, names={"convolution": "conv"})
    with pytest.raises(ValueError, match="a module, a state dict, or a file"):
        model.load_torch_weights([1, 2])
    assert all(torch.equal(a, b) for a, b in zip(before, model.weights, strict=True))
