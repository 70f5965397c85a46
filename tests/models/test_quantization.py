"""`Model.quantize`: which layers, what is left, and that the model goes on as a model."""

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import layers, quantizers

X = np.random.default_rng(0).standard_normal((32, 6)).astype("float32")
Y = X[:, :2]


def sequential():
    torchkeras.utils.set_random_seed(0)
    return torchkeras.Sequential(
        [
            torchkeras.Input((6,)),
            layers.Dense(8, activation="relu", name="first"),
            layers.Dense(2, name="second"),
        ]
    )


def modes(model):
    return {layer.name: layer.quantization_mode for layer in model._flatten_layers()}


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_outputs_stay_close(mode):
    model = sequential()
    before = model.predict(X, verbose=0)
    model.quantize(mode)
    after = model.predict(X, verbose=0)
    assert 0 < np.abs(after - before).max() < 0.3
    # Called as a part of another model, and on symbolic tensors, too.
    outer = torchkeras.Sequential([torchkeras.Input((6,)), model])
    np.testing.assert_allclose(outer.predict(X, verbose=0), after, rtol=1e-6)


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        ("first", {"first"}),
        (["^sec", "nothing"], {"second"}),
        (lambda layer: True, {"first", "second"}),
        ([], set()),
    ],
)
def test_filters(filters, chosen):
    model = sequential()
    model.quantize("int8", filters=filters)
    assert {name for name, mode in modes(model).items() if mode} == chosen


def test_layers_inside_layers():
    inputs = torchkeras.Input((5, 8))
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    x = layers.TimeDistributed(layers.Dense(3))(x)
    model = torchkeras.Model(inputs, sequential()(layers.Dense(6)(layers.Flatten()(x))))
    expected = model(torch.ones(2, 5, 8))
    model.quantize("int8")
    assert sum(mode == "int8" for mode in modes(model).values()) == 8
    assert (model(torch.ones(2, 5, 8)) - expected).abs().max() < 0.2


def test_what_cannot_be_quantized_is_told_if_it_has_weights():
    model = torchkeras.Sequential(
        [torchkeras.Input((6,)), layers.ReLU(), layers.LayerNormalization(), layers.Dense(2)]
    )
    with pytest.warns(UserWarning, match="LayerNormalization") as found:
        model.quantize("int8")
    assert len(found) == 1


def test_subclasses_are_left_alone_unless_told_otherwise():
    class Mine(layers.Dense):
        pass

    def make():
        return torchkeras.Sequential([torchkeras.Input((6,)), Mine(2, name="mine")])

    model = make()
    with pytest.warns(UserWarning, match="type_check=False"):
        model.quantize("int8")
    assert modes(model)["mine"] is None
    model = make()
    model.quantize("int8", type_check=False)
    assert modes(model)["mine"] == "int8"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"mode": "int7"}, ValueError),
        ({}, ValueError),
        ({"mode": "int8", "filters": 3}, ValueError),
        ({"mode": "int8", "other": 3}, ValueError),
        ({"mode": "int8", "config": quantizers.Int4QuantizationConfig()}, ValueError),
        ({"mode": "gptq"}, ValueError),
        ({"config": quantizers.GPTQConfig([1], len)}, ValueError),
        ({"config": quantizers.QuantizationConfig()}, NotImplementedError),
    ],
)
def test_errors(arguments, error):
    model = sequential()
    with pytest.raises(error):
        model.quantize(**arguments)
    assert not any(modes(model).values())


def test_a_model_says_how_data_passes_it():
    class Language(torchkeras.Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.block = layers.Embedding(9, 4), layers.Dense(4)

        def call(self, x):
            return self.block(self.embedding(x))

        def get_quantization_layer_structure(self, mode=None):
            return {"pre_block_layers": [self.embedding], "sequential_blocks": [self.block]}

    model = Language()
    model(torch.zeros(1, 3, dtype=torch.long))
    data = [np.arange(90) % 9]
    config = quantizers.AWQConfig(data, object(), num_samples=4, sequence_length=3, group_size=-1)
    model.quantize(config=config)
    assert model.block.is_awq_calibrated and model.embedding.quantization_mode is None


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_fitting_before_and_after(mode):
    model = sequential()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    for name in ("first", "second"):
        if mode != "float8":
            model.get_layer(name).enable_lora(2)
    model.quantize(mode)
    model.compile(torchkeras.optimizers.Adam(0.02), "mse")
    losses = model.fit(X, Y, epochs=8, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    if mode == "float8":
        assert model.get_layer("first").inputs_scale != 1


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_files(tmp_path, mode):
    model = sequential()
    model.quantize(mode)
    expected = model.predict(X, verbose=0)
    for name in ("model.keras", "model.safetensors"):
        model.save(tmp_path / name)
        loaded = torchkeras.saving.load_model(tmp_path / name)
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)
        assert modes(loaded) == modes(model)
    twin = torchkeras.models.clone_model(model)
    if mode != "float8":  # whose weights come in another order when they are made by policy
        twin.set_weights(model.get_weights())
        np.testing.assert_array_equal(twin.predict(X, verbose=0), expected)
    model.summary(print_fn=lambda line: None)


def test_train_steps_wait_for_no_device():
    model = sequential()
    model.quantize("float8")
    model.compile("sgd", "mse")
    model.to("meta")
    x, y = torch.ones(4, 6, device="meta"), torch.ones(4, 2, device="meta")
    model.train_step((x, y))
