"""A Keras model as the plain `torch.nn.Module` it is, trained by a hand-written PyTorch loop.

`torch.optim`, `DataLoader`, `torch.compile` and `state_dict` work on it with nothing in between.
`torch.compile` wants a C++ compiler; without one, the loop runs the model uncompiled and says so.
"""

import os
import shutil

import torch
from curves import parse_options, save_curves
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

import torchkeras as keras
from torchkeras import layers


def make_model() -> torch.nn.Module:
    """A small CNN in Keras's API; the layers' names are the keys of its `state_dict`."""
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.BatchNormalization(momentum=0.9, name="norm"),
            layers.Conv2D(32, 3, activation="relu", name="conv2"),
            layers.Flatten(),
            layers.Dense(10, name="dense"),
        ]
    )


def make_loaders(seed: int) -> tuple[DataLoader, DataLoader]:
    """The digits as a shuffled training loader and a loader of the held-out fifth."""
    images, digits = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 8, 8, 1) / 16
    y = torch.tensor(digits)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=seed
    )
    train = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
    return train, DataLoader(TensorDataset(x_test, y_test), batch_size=256)


def count_hits(model: torch.nn.Module, loader: DataLoader, device: torch.device) -> float:
    """The share of samples whose class `model` gets right."""
    model.eval()
    with torch.inference_mode():
        hits = [(model(x.to(device)).argmax(1) == y.to(device)).float() for x, y in loader]
    return torch.cat(hits).mean().item()


def main() -> None:
    """Train, save and load the weights as PyTorch does, report the held-out accuracy."""
    options = parse_options(__doc__, epochs=10)
    keras.utils.set_random_seed(options.seed)
    train, test = make_loaders(options.seed)
    model = make_model()
    device = next(model.parameters()).device
    has_compiler = shutil.which(os.environ.get("CXX", "c++")) is not None
    step_model = torch.compile(model) if has_compiler else model
    print("torch.compile:", "on" if has_compiler else "off, there is no C++ compiler")

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=5e-3, total_steps=options.epochs * len(train)
    )
    history: dict[str, list[float]] = {"loss": [], "accuracy": []}
    for epoch in range(options.epochs):
        step_model.train()
        total = torch.zeros((), device=device)
        for x, y in train:
            loss = torch.nn.functional.cross_entropy(step_model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.detach()
        history["loss"].append(total.item() / len(train))
        history["accuracy"].append(count_hits(model, test, device))
        print(f"epoch {epoch + 1}: loss {history['loss'][-1]:.4f}")

    path = options.output / "digits.pt"
    torch.save(model.state_dict(), path)
    copy = make_model()
    copy.load_state_dict(torch.load(path, weights_only=True))
    print(f"Held-out accuracy: {count_hits(copy.to(device), test, device):.4f}")
    save_curves(history, options.output / "pytorch_loop.png")


if __name__ == "__main__":
    main()
