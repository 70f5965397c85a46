"""Keras on PyTorch: `train_step` and `test_step` with backward(), trackers, compiled metrics."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from keras import layers
from sklearn.datasets import make_moons

keras.utils.set_random_seed(0)


class MixupModel(keras.Model):
    """Adds an entropy penalty to the compiled loss and mixes each batch with its mirror image."""

    def __init__(self, *args, entropy_weight=0.05, **kwargs):
        super().__init__(*args, **kwargs)
        self.entropy_weight = entropy_weight
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.entropy_tracker = keras.metrics.Mean(name="entropy")

    @property
    def metrics(self):
        return [self.loss_tracker, self.entropy_tracker, *super().metrics[1:]]

    def entropy(self, y_pred):
        return -torch.mean(torch.sum(y_pred * torch.log(y_pred + 1e-7), dim=-1))

    def train_step(self, data):
        x, y = data
        mixed = 0.9 * x + 0.1 * torch.flip(x, dims=[0])
        self.zero_grad()
        y_pred = self(mixed, training=True)
        entropy = self.entropy(y_pred)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred) + self.entropy_weight * entropy
        loss.backward()
        trainable_weights = [v for v in self.trainable_weights]
        gradients = [v.value.grad for v in trainable_weights]
        with torch.no_grad():
            self.optimizer.apply(gradients, trainable_weights)
        return self.track(loss, entropy, y, y_pred)

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        return self.track(loss, self.entropy(y_pred), y, y_pred)

    def track(self, loss, entropy, y, y_pred):
        self.loss_tracker.update_state(loss)
        self.entropy_tracker.update_state(entropy)
        logs = self.compute_metrics(None, y, y_pred)
        return {
            "loss": self.loss_tracker.result(),
            "entropy": self.entropy_tracker.result(),
            **logs,
        }


x, y = make_moons(400, noise=0.2, random_state=0)
x, y = x.astype("float32"), y.astype("int64")

inputs = keras.Input(shape=(2,))
h = layers.Dense(16, activation="relu")(inputs)
h = layers.Dense(16, activation="relu")(h)
outputs = layers.Dense(2, activation="softmax")(h)
model = MixupModel(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
)
print("metrics:", [metric.name for metric in model.metrics])
history = model.fit(x[:300], y[:300], epochs=3, batch_size=50, verbose=2)
for name in history.history:
    print(f"{name}: " + " ".join(f"{value:.6f}" for value in history.history[name]))
logs = model.evaluate(x[300:], y[300:], verbose=0, return_dict=True)
for name in sorted(logs):
    print(f"test {name}: {logs[name]:.6f}")

# The same model in a plain PyTorch loop: Keras layers are modules, their weights are parameters.
torch_optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = keras.losses.SparseCategoricalCrossentropy()
dataset = torch.utils.data.TensorDataset(torch.from_numpy(x[:300]), torch.from_numpy(y[:300]))
loader = torch.utils.data.DataLoader(dataset, batch_size=100, shuffle=False)
for epoch in range(2):
    running = 0.0
    for xb, yb in loader:
        xb, yb = xb.to(keras.ops.convert_to_tensor(0.0).device), yb
        torch_optimizer.zero_grad()
        loss = criterion(yb, model(xb, training=True))
        loss.backward()
        torch_optimizer.step()
        running += loss.item()
    print(f"torch epoch {epoch} loss: {running / len(loader):.6f}")
print(f"module parameters: {sum(p.numel() for p in model.parameters() if p.requires_grad)}")
