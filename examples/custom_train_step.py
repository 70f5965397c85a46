"""A training step of one's own: adversarial training, written with PyTorch's autograd.

Each batch is trained on twice: as it is, and moved by `size` in the direction that hurts most (the
fast gradient sign method, Goodfellow et al. 2015). Only `train_step` is overridden; `fit`,
callbacks, metrics, `evaluate` and saving stay Keras's.
"""

import torch
from curves import parse_options, save_curves
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import torchkeras as keras
from torchkeras import layers


class AdversarialModel(keras.Model):
    """A classifier of 64 pixels that also trains on the worst small change of its inputs.

    Args:
        units: Width of the hidden layer.
        size: Of the change, in units of the inputs.
    """

    def __init__(self, units: int, size: float, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.hidden = layers.Dense(units, activation="relu")
        self.logits = layers.Dense(10)
        self.adversarial_loss = keras.metrics.Mean(name="adversarial_loss")

    def call(self, inputs):
        return self.logits(self.hidden(inputs))

    def perturb(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Move `x` by `size` along the sign of the gradient of the loss."""
        x = x.detach().requires_grad_()
        loss = self.compute_loss(x, y, self(x, training=True))
        (gradient,) = torch.autograd.grad(loss, x)
        return (x + self.size * gradient.sign()).detach()

    def train_step(self, data):
        x, y = data
        moved = self.perturb(x, y)
        self.zero_grad()
        outputs = self(x, training=True)
        adversarial_loss = self.compute_loss(moved, y, self(moved, training=True))
        loss = self.compute_loss(x, y, outputs) + adversarial_loss
        loss.backward()
        weights = self.trainable_weights
        self.optimizer.apply([weight.grad for weight in weights], weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            elif metric is self.adversarial_loss:
                metric.update_state(adversarial_loss)
            else:
                metric.update_state(y, outputs)
        return {metric.name: metric.result() for metric in self.metrics}


def main() -> None:
    """Train with and without the adversarial part; compare on changed images."""
    options = parse_options(__doc__, epochs=20)
    images, digits = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        (images / 16).astype("float32"), digits, test_size=0.2, random_state=options.seed
    )
    size = 0.1
    reached = {}
    for name, trained_size in (("plain", 0.0), ("adversarial", size)):
        keras.utils.set_random_seed(options.seed)
        model = AdversarialModel(128, trained_size)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        history = model.fit(x_train, y_train, epochs=options.epochs, batch_size=32, verbose=0)
        model.size = size
        device = next(model.parameters()).device
        x, y = torch.tensor(x_test, device=device), torch.tensor(y_test, device=device)
        changed = model.evaluate(model.perturb(x, y), y, verbose=0, return_dict=True)["accuracy"]
        clean = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
        reached[name] = changed
        print(f"{name} training: accuracy {clean:.4f}, on changed images {changed:.4f}")
    print(f"Held-out accuracy on changed images: {reached['adversarial']:.4f}")
    save_curves(history.history, options.output / "custom_train_step.png")


if __name__ == "__main__":
    main()
