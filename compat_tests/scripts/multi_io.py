"""Support tickets: several named inputs, several named outputs, dicts everywhere, loss weights."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(4)
num_tags, num_words, num_departments = 6, 50, 4
rng = np.random.default_rng(4)
title = rng.integers(1, num_words, size=(256, 8))
body = rng.integers(1, num_words, size=(256, 15))
tags = rng.integers(0, 2, size=(256, num_tags)).astype("float32")
urgent = (title.mean(axis=1) + 10 * tags[:, 0] > 30).astype("float32")[:, None]
department = np.eye(num_departments)[(body.sum(axis=1) // 7) % num_departments]

title_input = keras.Input(shape=(None,), name="title")
body_input = keras.Input(shape=(None,), name="body")
tags_input = keras.Input(shape=(num_tags,), name="tags")
title_features = layers.LSTM(12)(layers.Embedding(num_words, 8)(title_input))
body_features = layers.GRU(8)(layers.Embedding(num_words, 8)(body_input))
x = layers.concatenate([title_features, body_features, tags_input])
x = layers.LayerNormalization()(x)
priority = layers.Dense(1, name="priority")(x)
department_pred = layers.Dense(num_departments, name="department")(x)
model = keras.Model(
    inputs=[title_input, body_input, tags_input],
    outputs={"priority": priority, "department": department_pred},
)
model.summary()
print("inputs:", model.input_names if hasattr(model, "input_names") else None)

model.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss={
        "priority": keras.losses.BinaryCrossentropy(from_logits=True),
        "department": keras.losses.CategoricalCrossentropy(from_logits=True),
    },
    metrics={
        "priority": [keras.metrics.BinaryAccuracy(threshold=0.0, name="hit")],
        "department": ["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2, name="top2")],
    },
    loss_weights={"priority": 1.0, "department": 0.2},
)
history = model.fit(
    {"title": title, "body": body, "tags": tags},
    {"priority": urgent, "department": department},
    epochs=3,
    batch_size=32,
    validation_split=0.25,
    verbose=2,
)
print("logged:", sorted(history.history))
results = model.evaluate(
    {"title": title, "body": body, "tags": tags},
    {"priority": urgent, "department": department},
    verbose=0,
    return_dict=True,
)
for name in sorted(results):
    print(f"{name}: {results[name]:.6f}")
as_list = model.evaluate(
    [title, body, tags], {"department": department, "priority": urgent}, verbose=0
)
print("values:", len(as_list))
outputs = model.predict({"tags": tags[:5], "body": body[:5], "title": title[:5]}, verbose=0)
for name in sorted(outputs):
    print(f"{name} {outputs[name].shape}: {outputs[name].mean():.6f}")

# per-output sample weights
weights = {"priority": np.where(urgent[:, 0] > 0, 2.0, 1.0), "department": np.ones(256)}
logs = model.train_on_batch(
    {"title": title, "body": body, "tags": tags},
    {"priority": urgent, "department": department},
    sample_weight=weights,
    return_dict=True,
)
for name in sorted(logs):
    print(f"batch {name}: {float(logs[name]):.6f}")
