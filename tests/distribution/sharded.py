"""A model too large for one device, in a loop of PyTorch's: FSDP2 on its layers, and DTensor.

The recipe of docs/scaling.md, with a checkpoint of shards on the way; each process writes what it
has come to.
"""

import json
import os
import sys
from pathlib import Path

import keras
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.fsdp import fully_shard

from torchkeras.distribution import DeviceMesh, TensorLayout, distribute_tensor

RANK, FOLDER = os.environ["RANK"], Path(sys.argv[1])
keras.utils.set_random_seed(2)
x, y = torch.randn(12, 5), torch.randn(12, 2)


def plain_model():
    hidden = keras.layers.Dense(8, activation="tanh", name="hidden")
    return keras.Sequential([keras.Input((5,)), hidden, keras.layers.Dense(2, name="out")])


initial = plain_model().state_dict()


def make(sharded=True):
    model = plain_model()
    model.load_state_dict(initial)
    if sharded:
        for layer in model.layers:
            fully_shard(layer)
        fully_shard(model)
    return model, torch.optim.Adam(model.parameters(), 0.05)


def train(model, optimizer, steps, rows):
    for _ in range(steps):
        loss = (model(x[rows]) - y[rows]).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


alone, optimizer = make(sharded=False)
train(alone, optimizer, 6, slice(None))

rows = slice(int(RANK), None, 2)
model, optimizer = make()
train(model, optimizer, 3, rows)
weights, moments = get_state_dict(model, optimizer)
dcp.save({"model": weights, "optimizer": moments}, checkpoint_id=FOLDER / "shards")

model, optimizer = make()  # as in another start of the job
state = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
dcp.load(state, checkpoint_id=FOLDER / "shards")
set_state_dict(
    model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"]
)
train(model, optimizer, 3, rows)
whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
local = [tuple(p.to_local().shape) for p in model.parameters()]

if RANK == "0":  # one ordinary file
    plain, _ = make(sharded=False)
    plain.load_state_dict(whole)
    with open(FOLDER / "model.keras", "wb") as file:
        plain.save(file)
mesh = DeviceMesh((1, 2), ("batch", "model"), ["cpu:0", "cpu:1"])
parts = distribute_tensor(torch.arange(8.0).reshape(2, 4), TensorLayout((None, "model"), mesh))
found = {
    "local": local,
    "part": parts.to_local().tolist(),
    "whole": parts.full_tensor().flatten().tolist(),
    "x": x.tolist(),
    "alone": alone(x).detach().tolist(),
}
(FOLDER / f"found_{RANK}.json").write_text(json.dumps(found))
