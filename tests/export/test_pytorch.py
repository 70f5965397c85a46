"""Plain PyTorch of whole models: modules, files, layouts, nested and shared parts."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from torchkeras import Input, Model, Sequential, layers, ops
from torchkeras.cli import main
from torchkeras.export.pytorch import export_pytorch
from torchkeras.export.pytorch.module import to_source
from torchkeras.export.pytorch.source import wrapped

L = layers


def imported(path):
    spec = importlib.util.spec_from_file_location("written", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convolutional():
    stack = [
        L.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
        L.BatchNormalization(name="norm"),
        L.MaxPooling2D(name="pool"),
        L.Conv2D(6, 3, name="conv2"),
        L.Flatten(),
        L.Dense(3, activation="softmax", name="dense"),
    ]
    return Sequential([Input((8, 8, 3)), *stack], name="small")


def test_architectures_as_modules_and_as_files(architecture, inputs, call, tmp_path):
    expected = call(inputs)
    with torch.no_grad():
        actual = architecture.to_torch()(*inputs)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
        path, _ = export_pytorch(architecture, tmp_path, "written", verbose=False)
        text = Path(path).read_text()
        assert "import torchkeras" not in text and "from torchkeras" not in text
        actual = imported(path).load()(*inputs)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    large = architecture.name.startswith(("mobilenet", "resnet", "densenet"))  # all alike
    if importlib.util.find_spec("ruff") and not large:
        for command in (["check", "--select", "E,F,I"], ["format", "--check"]):
            command = [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "100"]
            done = subprocess.run([*command, path], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


def test_the_source_reads_like_pytorch():
    source, writer = to_source(convolutional())
    assert (
        source
        == '''from torch import nn
from torch.nn import functional as F


class Small(nn.Module):
    """The model 'small'.

    Args:
        x: float32, (batch, 8, 8, 3).

    Returns: float32, (batch, 3).
    """

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(4, eps=0.001, momentum=0.01)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(4, 6, kernel_size=3)
        self.dense = nn.Linear(24, 3)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)  # channels first
        x = self.conv(x)
        x = F.relu(x)
        x = self.norm(x)
        x = self.pool(x)
        x = self.conv2(x)
        x = x.permute(0, 2, 3, 1)  # channels last
        x = x.flatten(1)
        x = self.dense(x)
        x = F.softmax(x, dim=1)
        return x
'''
    )
    assert writer.state["conv.weight"].shape == (4, 3, 3, 3)
    assert writer.state["dense.weight"].shape == (3, 24)


def test_a_file_needs_torch_and_safetensors_only(tmp_path):
    model = convolutional()
    path, weights = export_pytorch(model, tmp_path / "new", verbose=False)
    x = torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    code = (
        "import sys; sys.modules['torchkeras'] = sys.modules['numpy.testing'] = None\n"
        "import torch, small\n"
        "x = torch.rand(2, 8, 8, 3, generator=torch.Generator().manual_seed(0))\n"
        "print(small.load()(x).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "new", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(torch.tensor(eval(done.stdout)), model(x).detach())
    assert weights.endswith("small.safetensors")


def test_the_command_line(tmp_path, capsys):
    model = convolutional()
    model.save(tmp_path / "model.keras")
    arguments = ["export", str(tmp_path / "model.keras"), "--to", "pytorch", str(tmp_path / "out")]
    assert main([*arguments, "--name", "mine"]) == 0
    assert "mine.safetensors" in capsys.readouterr().out
    module = imported(tmp_path / "out" / "mine.py").load()
    x = torch.rand(2, 8, 8, 3)
    torch.testing.assert_close(module(x), model(x))
    assert main(["export", str(tmp_path / "model.keras"), str(tmp_path / "model.pt2")]) == 0
    program = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(program(x), model(x))
    assert main([*arguments, "--name", "not a name"]) == 1
    assert "'not a name'" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "none.keras"), "--to", "pytorch", str(tmp_path)]) == 1
    assert main(["export", str(tmp_path / "model.keras"), str(tmp_path / "model")]) == 1
    assert "--to" in capsys.readouterr().err


def test_weights_are_copies_and_no_random_numbers_are_drawn():
    model = convolutional()
    before = torch.get_rng_state()
    module = model.to_torch()
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert model.layers[0].kernel.abs().sum() > 0
    assert {type(p) for p in module.parameters()} == {torch.nn.Parameter}
    assert not module.training and module.train().norm.training


def test_training_goes_on_in_pytorch():
    module = convolutional().to_torch().train()
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(32, 8, 8, 3, generator=generator), torch.arange(32) % 3
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.nll_loss(module(x).log(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_frozen_layers_stay_frozen(tmp_path):
    model = convolutional()
    model.layers[0].trainable = False
    module = model.to_torch()
    assert not module.conv.weight.requires_grad and module.dense.weight.requires_grad
    path, _ = export_pytorch(model, tmp_path, verbose=False)
    module = imported(path).load()
    assert not module.conv.weight.requires_grad and module.dense.weight.requires_grad


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes(dtype, tmp_path):
    model = Sequential([Input((4,), dtype=dtype), L.Dense(3, dtype=dtype)], name="wide")
    path, _ = export_pytorch(model, tmp_path, verbose=False)
    x = torch.rand(2, 4, dtype=getattr(torch, dtype))
    for module in (model.to_torch(), imported(path).load()):
        torch.testing.assert_close(module(x), model(x))


def test_shared_layers_and_models_are_one_module():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    dense = L.Dense(3, name="both")
    inner = Sequential([Input((3,)), L.Dense(2, name="class")], name="import")
    model = Model({"p": a, "q": b}, [inner(dense(a)), (inner(dense(b)), a)], name="shared")
    module = model.to_torch()
    assert list(module.state_dict()) == [
        "both.weight",
        "both.bias",
        "layer_import.layer_class.weight",
        "layer_import.layer_class.bias",
    ]
    x, y = torch.rand(2, 4), torch.rand(2, 4)
    expected = model({"p": x, "q": y})
    torch.testing.assert_close(module(x, y), expected)
    torch.testing.assert_close(module(q=y, p=x), expected)


def test_masks_pass_into_inner_models():
    inner = Sequential([Input((5,)), L.Embedding(9, 3, mask_zero=True)], name="words")
    x = Input((5,), dtype="int32")
    model = Model(x, L.GRU(4)(L.Dropout(0.1)(inner(x))))
    tokens = torch.tensor([[1, 0, 2, 0, 3], [0, 0, 0, 0, 0], [4, 5, 6, 0, 0]])
    torch.testing.assert_close(model.to_torch()(tokens), model(tokens))


def test_names_of_layers_that_python_or_torch_has_taken():
    x = Input((4,), name="lambda")
    y = L.Dense(2, name="forward")(x)
    y = L.Dense(2, name="train")(y) + L.Dense(2, name="1st.dense")(y)
    model = Model([x, Input((1,), name="self")], y, name="torch")
    x = torch.rand(2, 4)
    torch.testing.assert_close(model.to_torch()(x, x), model([x, x[:, :1]]))


class Residual(L.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(units, activation="relu")

    def build(self, shape):
        self.scale = self.add_weight((shape[-1],), "random_normal", name="scale")
        self.dense.build(shape)

    def call(self, x):
        return x + self.scale * torch.nn.functional.gelu(self.dense(x))


class Own(Model):
    def __init__(self):
        super().__init__(name="own")
        self.blocks = [Residual(3), Residual(3)]

    def call(self, x, weights):
        for block in self.blocks:
            x = block(x)
        return {"sum": ops.sum(x * weights, axis=-1), "x": self.blocks[0](x)}


def test_layers_and_models_of_a_users_own_are_recorded():
    model = Own()
    x, weights = torch.randn(4, 3), torch.rand(4, 3)
    expected = model(x, weights)
    nodes = len(model.blocks[0].dense._inbound_nodes)
    module = model.to_torch()
    torch.testing.assert_close(module(weights=weights, x=x), expected)
    assert len(list(module.parameters())) == 6  # the first block is there once
    assert len(model.blocks[0].dense._inbound_nodes) == nodes


def test_a_model_that_decides_by_values_is_refused():
    class Deciding(Model):
        def call(self, x):
            return x if x.sum() > 0 else -x

    model = Deciding(name="deciding")
    model(torch.ones(1, 2))
    with pytest.raises(NotImplementedError, match="'deciding'(.|\n)*cannot be recorded"):
        model.to_torch()
    with pytest.raises(NotImplementedError, match="has not yet been built"):
        Sequential([L.Dense(2)]).to_torch()


def test_a_branch_for_training_is_left_out_with_a_warning():
    class Noisy(L.Layer):
        def call(self, x, training=False):
            return x + torch.randn_like(x) if training else x

    x = Input((3,))
    with pytest.warns(UserWarning, match="Noisy.* takes `training`"):
        module = Model(x, Noisy()(x) * 2).to_torch()
    assert module(torch.ones(1, 3)).tolist() == [[2.0, 2.0, 2.0]]


def test_long_lines_are_broken_at_commas():
    line = f'self.x = nn.Conv2d({", ".join(["argument=100"] * 9)}, mode="a, b")'
    lines = wrapped(line, 8)
    assert lines[0] == "        self.x = nn.Conv2d(" and lines[-1] == "        )"
    assert lines[-2] == '            mode="a, b",' and len(lines) == 12
    assert wrapped("x = (a + b)", 4) == ["    x = (a + b)"]


def test_ops_on_constants_and_dicts_of_outputs(tmp_path):
    x = Input((3,))
    model = Model(x, {"b": x * torch.tensor([1.0, 2.0, 3.0]), "a": ops.relu(x)}, name="two")
    module = model.to_torch()
    x = torch.randn(2, 3)
    assert list(module(x)) == ["a", "b"]
    torch.testing.assert_close(module(x), model(x))
    assert not list(module.parameters()) and len(list(module.buffers())) == 1
