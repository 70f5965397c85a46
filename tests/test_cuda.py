"""On a CUDA device: where things are, that results are those of the CPU, and that nothing waits.

`test_meta.py` looks for hidden waits without a GPU. Here the driver itself reports them
(`torch.cuda.set_sync_debug_mode`), and numbers are compared with the CPU's.
"""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import layers
from torchkeras.training.data import get_data_adapter
from torchkeras.training.jit import can_be_one_graph

pytestmark = pytest.mark.cuda

RNG = np.random.default_rng(0)
BATCH, TIME, WIDTH = 8, 6, 4
# Fused and reordered float32 sums (cuDNN, TF32 off) against the CPU's: a few hundred roundings.
RTOL, ATOL = 1e-3, 1e-4


@pytest.fixture(autouse=True)
def exact_matmul():
    """Compute in float32, not TF32, so that numbers can be compared with the CPU's."""
    former = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = former
    torch.cuda.set_sync_debug_mode("default")


def floats(*shape):
    return RNG.standard_normal(shape).astype("float32")


def dense():
    inputs = keras.Input((WIDTH,))
    x = layers.Dense(8, "relu", kernel_regularizer="l2")(inputs)
    x = layers.Dropout(0.2)(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(3, "softmax")(layers.LayerNormalization()(x)))


def convolution():
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(0.5)(inputs))
    x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.Add()([x, layers.Conv2D(4, 1)(x)])
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.Flatten()(x)])
    return keras.Model(inputs, layers.Dense(3, "softmax")(x))


def recurrent():
    inputs = keras.Input((TIME, WIDTH))
    x = layers.LSTM(5, return_sequences=True)(inputs)
    x = layers.LSTM(4)(layers.Masking()(x))
    return keras.Model(inputs, layers.Dense(3, "softmax")(x))


def text():
    inputs = keras.Input((TIME,), dtype="int32")
    x = layers.LSTM(4)(layers.Embedding(10, 3, mask_zero=True)(inputs))
    return keras.Model(inputs, layers.Dense(3, "softmax")(x))


def attention():
    inputs = keras.Input((TIME, WIDTH))
    x = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    x = layers.LayerNormalization()(layers.Add()([inputs, x]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(3, "softmax")(x))


def masked_attention():
    inputs = keras.Input((TIME,), dtype="int32")
    x = layers.Embedding(10, 4, mask_zero=True, lora_rank=2)(inputs)
    x = layers.GroupQueryAttention(3, 4, 2)(x, x, use_causal_mask=True)
    x = layers.Attention(use_scale=True)([layers.GroupNormalization(2)(x), x])
    x = layers.AdditiveAttention()([x, x])
    x = layers.RMSNormalization()(layers.GlobalAveragePooling1D()(x))
    x = layers.SpectralNormalization(layers.Dense(3))(layers.UnitNormalization()(x))
    return keras.Model(inputs, layers.Softmax()(x))


MODELS = {
    dense: lambda n: floats(n, WIDTH),
    convolution: lambda n: floats(n, 8, 8, 2),
    recurrent: lambda n: floats(n, TIME, WIDTH),
    text: lambda n: RNG.integers(0, 10, (n, TIME)),
    attention: lambda n: floats(n, TIME, WIDTH),
    masked_attention: lambda n: RNG.integers(0, 10, (n, TIME)),
}
LOSS = "sparse_categorical_crossentropy"


def labels(n):
    return RNG.integers(0, 3, n)


def devices_of(model):
    return {weight.device.type for weight in model.weights}


# Places ------------------------------------------------------------------------------------------


def test_the_default_device_is_cuda():
    assert keras.config.default_device().type == "cuda"
    model = dense()
    assert devices_of(model) == {"cuda"}
    assert model(floats(2, WIDTH)).device.type == "cuda"


def test_device_scopes_are_respected():
    with keras.device("cpu"):
        model = dense()
    assert devices_of(model) == {"cpu"}
    with torch.device("cpu"):
        assert devices_of(dense()) == {"cpu"}
    with keras.device("gpu:0"):
        assert devices_of(dense()) == {"cuda"}


@pytest.mark.parametrize("make", [dense, recurrent])
def test_training_stays_where_the_model_is(make):
    with keras.device("cpu"):
        model = make()
    model.compile("adam", LOSS, metrics=["accuracy"])
    model.fit(MODELS[make](20), labels(20), batch_size=BATCH, verbose=0)
    assert devices_of(model) == {"cpu"}
    assert model(MODELS[make](2)).device.type == "cpu"


@pytest.mark.parametrize("make", MODELS)
def test_models_move_between_devices(make):
    model, x = make(), MODELS[make](5)
    on_gpu = model.predict(x, verbose=0)
    model.to("cpu")
    assert devices_of(model) == {"cpu"}
    np.testing.assert_allclose(model.predict(x, verbose=0), on_gpu, rtol=RTOL, atol=ATOL)
    model.to("cuda")
    assert devices_of(model) == {"cuda"}
    np.testing.assert_allclose(model.predict(x, verbose=0), on_gpu, rtol=RTOL, atol=ATOL)


def test_training_goes_on_after_a_move():
    model, x, y = dense(), MODELS[dense](32), labels(32)
    model.compile("adam", LOSS, metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    model.to("cpu")
    model.compile("adam", LOSS, metrics=["accuracy"])
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
    assert devices_of(model) == {"cpu"}


# Training, evaluation, prediction ----------------------------------------------------------------


@pytest.mark.parametrize("make", MODELS)
def test_numpy_in_numpy_out(make):
    model, x, y = make(), MODELS[make](20), labels(20)
    model.compile("adam", LOSS, metrics=["accuracy"])
    before = model.evaluate(x, y, verbose=0)[0]
    history = model.fit(
        x, y, batch_size=BATCH, epochs=30, validation_data=(x, y), verbose=0
    ).history
    assert set(history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert all(type(value) is float for values in history.values() for value in values)
    assert history["val_loss"][-1] < before
    outputs = model.predict(x, batch_size=BATCH, verbose=0)
    assert type(outputs) is np.ndarray
    np.testing.assert_allclose(outputs.sum(-1), np.ones(20), rtol=1e-5)
    assert devices_of(model) == {"cuda"}


@pytest.mark.parametrize("make", [convolution, recurrent, attention])
def test_training_matches_the_cpu(make):
    """No dropout in these: the same data in the same order gives the same losses."""
    x, y = MODELS[make](32), labels(32)
    losses = []
    weights = None
    for device in ("cpu", "cuda"):
        with keras.device(device):
            model = make()
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.05), LOSS)
        history = model.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_data_on_either_device():
    model, x, y = dense(), floats(20, WIDTH), labels(20)
    model.compile("adam", LOSS)
    for device in ("cpu", "cuda"):
        data = torch.tensor(x, device=device), torch.tensor(y, device=device)
        assert np.isfinite(model.fit(*data, batch_size=BATCH, verbose=0).history["loss"][0])


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_data_in_a_torch_device_scope(shuffle):
    with torch.device("cuda"):
        model = dense()
        model.compile("adam", LOSS)
        model.fit(floats(20, WIDTH), labels(20), batch_size=BATCH, shuffle=shuffle, verbose=0)
    assert devices_of(model) == {"cuda"}


def test_data_loaders_and_generators():
    model, x, y = dense(), floats(20, WIDTH), labels(20)
    model.compile("adam", LOSS)
    dataset = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH)
    model.fit(loader, shuffle=False, verbose=0)
    model.fit(((x, y) for _ in range(3)), shuffle=False, verbose=0)
    assert model.predict(x, verbose=0).shape == (20, 3)


def test_class_and_sample_weights():
    model, x, y = dense(), floats(20, WIDTH), labels(20)
    model.compile("adam", LOSS, weighted_metrics=["accuracy"])
    model.fit(x, y, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, verbose=0)
    model.fit(x, y, sample_weight=np.linspace(0, 1, 20), verbose=0)


def test_a_hand_written_loop():
    model, optimizer = dense(), None
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x = torch.tensor(floats(20, WIDTH), device="cuda")
    y = torch.tensor(labels(20), device="cuda")
    first = last = None
    for _ in range(30):
        loss = torch.nn.functional.nll_loss(model(x).log(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        last = loss.item()
        first = last if first is None else first
    assert last < first


# Waiting -----------------------------------------------------------------------------------------

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(),
    "adamw, clipped": lambda: keras.optimizers.AdamW(clipnorm=1.0),
    "sgd, nesterov": lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
    "rmsprop, clipped globally": lambda: keras.optimizers.RMSprop(global_clipnorm=1.0),
    "scheduled": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.01, 100, warmup_steps=5, warmup_target=0.02)
    ),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
}


def steps_without_waiting(model, x, y, count=3):
    """Run steps with the driver told to raise at every wait; the first ones may build things."""
    data = (torch.as_tensor(x, device="cuda"), torch.as_tensor(y, device="cuda"))
    train, test = model.make_train_function(), model.make_test_function()
    predict = model.make_predict_function()
    for mode in ("default", "error"):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode(mode)
        try:
            model.train()
            for _ in range(count):
                logs = train([data])
            model.eval()
            test([data])
            predict([data[:1]])
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return dict(logs)


@pytest.mark.parametrize("make", MODELS)
def test_steps_do_not_wait(make):
    model = make()
    model.compile("adam", LOSS, metrics=["accuracy"])
    logs = steps_without_waiting(model, MODELS[make](BATCH), labels(BATCH))
    assert np.isfinite(float(logs["loss"]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_do_not_wait(name):
    model = dense()
    model.compile(OPTIMIZERS[name](), LOSS)
    steps_without_waiting(model, MODELS[dense](BATCH), labels(BATCH))
    assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize(
    "metric", ["AUC", "Precision", "Recall", "BinaryAccuracy", "MeanSquaredError", "BinaryIoU"]
)
def test_metrics_do_not_wait(metric):
    model = keras.Sequential([keras.Input((WIDTH,)), layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[getattr(keras.metrics, metric)()])
    steps_without_waiting(model, floats(BATCH, WIDTH), RNG.integers(0, 2, (BATCH, 1)))


def test_a_wait_is_noticed():
    class Waits(keras.Layer):
        def call(self, x):
            return x * x.mean().item()

    model = keras.Sequential([layers.Dense(3, "softmax"), Waits()])
    model(floats(2, WIDTH))
    model.compile("sgd", LOSS)
    with pytest.raises(RuntimeError, match="synchron"):
        steps_without_waiting(model, floats(BATCH, WIDTH), labels(BATCH))


# Feeding, memory, compilation --------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False], ids=["kept on the device", "from pinned memory"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_feeding_does_not_wait(kept, shuffle, monkeypatch):
    monkeypatch.setattr("torchkeras.training.data.arrays.RESIDENT_BYTES", (1 << 30) * kept)
    monkeypatch.setattr("torchkeras.training.data.arrays.CHUNK_BYTES", 1000)
    x, y = floats(200, WIDTH), labels(200)
    adapter = get_data_adapter(x, y, batch_size=BATCH, shuffle=shuffle)
    seen = []
    for mode in ("default", "error"):
        torch.cuda.set_sync_debug_mode(mode)
        seen += [batch[0] for batch in adapter.batches("cuda")]
    torch.cuda.set_sync_debug_mode("default")
    assert {batch.device.type for batch in seen} == {"cuda"}
    rows = torch.cat(seen[25:]).cpu().numpy()
    if shuffle:
        rows, x = (np.sort(array, axis=0) for array in (rows, x))
    np.testing.assert_array_equal(rows, x)


@pytest.mark.parametrize("kept", [True, False], ids=["kept on the device", "from pinned memory"])
def test_memory_is_flat_over_ten_thousand_steps(kept, monkeypatch):
    """See keras-team/keras issue 23154, in which it grows."""
    monkeypatch.setattr("torchkeras.training.data.arrays.RESIDENT_BYTES", (1 << 30) * kept)
    model, x, y = dense(), floats(1000 * BATCH, WIDTH), labels(1000 * BATCH)
    model.compile("adam", LOSS, metrics=["accuracy"])
    allocated, reserved = [], []
    for _ in range(10):
        model.fit(x, y, batch_size=BATCH, verbose=0)
        torch.cuda.synchronize()
        allocated.append(torch.cuda.memory_allocated())
        reserved.append(torch.cuda.memory_reserved())
    assert int(model.optimizer.iterations) == 10_000
    assert allocated[-1] <= allocated[1]
    assert reserved[-1] == reserved[1]


def compiled_and_not(make, optimizer):
    """Two equal models, the first of which compiles its steps."""
    if not can_be_one_graph():
        pytest.skip("this torch makes no whole graphs")
    pytest.importorskip("triton", reason="Inductor needs it on CUDA")
    models = make(), make()
    models[1].set_weights(models[0].get_weights())
    for model, jit_compile in zip(models, (True, False), strict=True):
        model.compile(optimizer, LOSS, metrics=["accuracy"], jit_compile=jit_compile)
    return models


@pytest.mark.parametrize("make", [dense, convolution, attention])
def test_compiled_steps(make):
    model, other = compiled_and_not(make, "sgd")
    x, y = MODELS[make](4 * BATCH), labels(4 * BATCH)
    fit = {"batch_size": BATCH, "epochs": 3, "shuffle": False, "verbose": 0}
    if make is not dense:  # that has dropout, whose random numbers differ
        losses = [m.fit(x, y, **fit).history["loss"] for m in (model, other)]
        np.testing.assert_allclose(*losses, rtol=RTOL)
    steps_without_waiting(model, x[:BATCH], y[:BATCH])
    assert model.jit_compile


@pytest.mark.parametrize("make", [dense, attention])
def test_compiled_steps_of_small_models_are_captured(make, monkeypatch):
    replays, replay = [], torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(
        torch.cuda.CUDAGraph, "replay", lambda graph: replays.append(graph) or replay(graph)
    )
    model, other = compiled_and_not(make, "adam")
    x, y = MODELS[make](10 * BATCH), labels(10 * BATCH)
    fit = {"batch_size": BATCH, "epochs": 3, "shuffle": False, "verbose": 0}
    if make is not dense:  # that has dropout, whose random numbers differ
        histories = [m.fit(x, y, **fit).history for m in (model, other)]
        for key in ("loss", "accuracy"):
            np.testing.assert_allclose(*(history[key] for history in histories), rtol=RTOL)
    else:
        model.fit(x, y, **fit)
    assert len(replays) >= 20
    model.optimizer.learning_rate = 0.0  # read from memory, not from what was captured
    before = [weight.detach().clone() for weight in model.trainable_weights]
    model.fit(x, y, **fit)
    assert all(map(torch.equal, model.trainable_weights, before))


# Precision and files -----------------------------------------------------------------------------


@pytest.fixture
def half():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def test_mixed_float16_scales_the_loss(half):
    inputs = keras.Input((WIDTH,))
    x = layers.Dense(16, "relu")(inputs)
    model = keras.Model(inputs, layers.Dense(3, "softmax", dtype="float32")(x))
    model.compile(keras.optimizers.Adam(0.01), LOSS, metrics=["accuracy"])
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    x, y = floats(64, WIDTH), labels(64)
    history = model.fit(x, y, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert {weight.dtype for weight in model.weights} == {torch.float32}
    assert model.layers[1](torch.ones(2, WIDTH, device="cuda")).dtype == torch.float16


def test_a_step_that_overflows_is_skipped(half):
    model = keras.Sequential([keras.Input((WIDTH,)), layers.Dense(1, dtype="float32")])
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model.compile(optimizer, "mse", auto_scale_loss=False)
    x, y = floats(BATCH, WIDTH), floats(BATCH, 1)
    model.train_on_batch(x, y)
    before, scale = model.get_weights(), float(optimizer.dynamic_scale)
    model.train_on_batch(np.full_like(x, np.inf), y)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert float(optimizer.dynamic_scale) == scale / 2
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".safetensors"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_saved_on_cuda_loaded_on_the_cpu(tmp_path, suffix):
    model, x, y = convolution(), floats(20, 8, 8, 2), labels(20)
    model.compile("adam", LOSS)
    model.fit(x, y, verbose=0)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    with keras.device("cpu"):
        loaded = keras.models.load_model(path)
    assert devices_of(loaded) == {"cpu"}
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=RTOL, atol=ATOL)
    loaded.fit(x, y, verbose=0)  # with the optimizer's state, which must be on the CPU too


def test_state_dicts_cross_devices():
    model = dense()
    with keras.device("cpu"):
        other = dense()
    state = {key: value.cpu() for key, value in model.state_dict().items()}
    renamed = dict(zip(other.state_dict(), state.values(), strict=True))
    other.load_state_dict(renamed)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_give_the_same_weights_on_one_device():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        weights.append(dense().get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


IMAGE_LAYERS = {
    "AutoContrast": {},
    "ContrastLimitedAdaptiveHistogramEqualization": {},
    "CutMix": {},
    "Equalization": {},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.3},
    "RandomCrop": {"height": 20, "width": 20},
    "RandomElasticTransform": {},
    "RandomErasing": {"fill_value": (1, 2, 3)},
    "RandomFlip": {},
    "RandomGaussianBlur": {},
    "RandomHue": {"factor": 0.3},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": (3, 3)},
    "RandomRotation": {"factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "Resizing": {"height": 9, "width": 50},
    "Solarization": {},
}


@pytest.mark.parametrize("name", IMAGE_LAYERS)
def test_image_layers_do_not_wait(name):
    boxed = {"bounding_box_format": "xyxy"} if name in ("RandomFlip", "RandomZoom") else {}
    layer = getattr(layers, name)(**IMAGE_LAYERS[name], **boxed)
    data = {"images": torch.rand(4, 32, 32, 3, device="cuda")}
    if boxed:
        boxes = torch.rand(4, 2, 4, device="cuda")
        data["bounding_boxes"] = {"boxes": boxes, "labels": torch.ones(4, 2, device="cuda")}
    layer(data, training=True)
    torch.cuda.set_sync_debug_mode("error")
    result = layer(data, training=True)
    torch.cuda.set_sync_debug_mode("default")
    assert all(x.is_cuda for x in keras.tree.flatten(result))


@pytest.mark.parametrize("size", [64, 12], ids=["tiles", "ragged"])
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantized_layers(mode, size):
    layer = layers.Dense(size)
    layer.build((None, size))
    layer.quantize(mode)
    x = torch.tensor(floats(2, 20, size))
    expected = layer.to("cpu")(x, training=True).detach()
    layer.to("cuda")
    x = x.cuda().requires_grad_()
    layer(x, training=True).sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    result = layer(x, training=True)
    result.sum().backward()
    torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(result.detach().cpu(), expected, rtol=RTOL, atol=ATOL)
    assert x.grad.is_cuda
