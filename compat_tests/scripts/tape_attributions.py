"""What a classifier looks at: saliency, integrated gradients, Grad-CAM, an adversarial example."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
images = rng.uniform(0, 0.3, size=(64, 12, 12, 1)).astype("float32")
labels = np.arange(64) % 2
for i, label in enumerate(labels):
    images[i, 2:5, 2:5] += 0.6 * label
    images[i, 7:10, 7:10] += 0.6 * (1 - label)

inputs = tf.keras.Input((12, 12, 1))
x = tf.keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
x = tf.keras.layers.MaxPooling2D()(x)
x = tf.keras.layers.Flatten()(x)
model = tf.keras.Model(inputs, tf.keras.layers.Dense(2, name="logits")(x))
model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
model.compile(
    tf.keras.optimizers.Adam(0.01),
    tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(images, labels, epochs=4, batch_size=16, shuffle=False, verbose=0)
print("loss:", [round(v, 3) for v in history.history["loss"]])

# Saliency: which pixels change the score.
image = tf.convert_to_tensor(images[:1])
with tf.GradientTape() as tape:
    tape.watch(image)
    score = model(image)[:, 0]
saliency = tf.reduce_max(tf.abs(tape.gradient(score, image)), axis=-1)[0]
normed = (saliency - tf.reduce_min(saliency)) / (tf.reduce_max(saliency) - tf.reduce_min(saliency))
print("saliency:", normed.shape, f"mean: {tf.reduce_mean(normed):.3f}")


# Integrated gradients.
def interpolate_images(baseline, image, alphas):
    alphas_x = alphas[:, tf.newaxis, tf.newaxis, tf.newaxis]
    baseline_x, input_x = tf.expand_dims(baseline, axis=0), tf.expand_dims(image, axis=0)
    return baseline_x + alphas_x * (input_x - baseline_x)


def compute_gradients(images, target):
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = model(images)
        probs = tf.nn.softmax(logits, axis=-1)[:, target]
    return tape.gradient(probs, images)


def integral_approximation(gradients):
    grads = (gradients[:-1] + gradients[1:]) / tf.constant(2.0)
    return tf.math.reduce_mean(grads, axis=0)


@tf.function
def integrated_gradients(baseline, image, target, m_steps=20, batch_size=8):
    alphas = tf.linspace(start=0.0, stop=1.0, num=m_steps + 1)
    gradient_batches = []
    for alpha in range(0, m_steps + 1, batch_size):
        end = min(alpha + batch_size, m_steps + 1)
        batch = interpolate_images(baseline, image, alphas[alpha:end])
        gradient_batches.append(compute_gradients(batch, target))
    total = tf.concat(gradient_batches, axis=0)
    return (image - baseline) * integral_approximation(gradients=total)


baseline = tf.zeros(shape=(12, 12, 1))
attributions = integrated_gradients(baseline, image[0], 0)
difference = (tf.nn.softmax(model(image)) - tf.nn.softmax(model(baseline[None])))[0, 0]
print(f"attributed: {tf.reduce_sum(attributions):.3f} difference: {difference:.3f}")
mask = tf.reduce_sum(tf.math.abs(attributions), axis=-1)
print("corner:", f"{tf.reduce_sum(mask[7:10, 7:10]) / tf.reduce_sum(mask):.3f}")

# Grad-CAM: gradients of an inner layer's outputs.
grad_model = tf.keras.models.Model(model.inputs, [model.get_layer("conv").output, model.output])
with tf.GradientTape() as tape:
    conv_output, predictions = grad_model(image)
    pred_index = tf.argmax(predictions[0])
    class_channel = predictions[:, pred_index]
grads = tape.gradient(class_channel, conv_output)
pooled = tf.reduce_mean(grads, axis=(0, 1, 2))
heatmap = tf.squeeze(conv_output[0] @ pooled[..., tf.newaxis])
heatmap = tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)
print("heatmap:", heatmap.shape, "class:", int(pred_index), np.round(heatmap.numpy()[8, 6:9], 2))


# An adversarial example.
def create_adversarial_pattern(input_image, input_label):
    with tf.GradientTape() as tape:
        tape.watch(input_image)
        prediction = model(input_image)
        loss = tf.keras.losses.sparse_categorical_crossentropy(
            input_label, prediction, from_logits=True
        )
    return tf.sign(tape.gradient(loss, input_image))


perturbations = create_adversarial_pattern(image, tf.constant([0]))
for epsilon in (0.0, 0.2, 0.5):
    adversarial = tf.clip_by_value(image + epsilon * perturbations, 0, 1)
    confidence = tf.nn.softmax(model(adversarial))[0, 0]
    print(f"epsilon {epsilon}: confidence: {confidence:.3f}")
