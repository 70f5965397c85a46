"""Segment synthetic discs with a U-Net: Dice loss and metrics written with `K`, tf.keras style."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import Model
from tensorflow.keras import backend as K
from tensorflow.keras.layers import (
    BatchNormalization,
    Concatenate,
    Conv2D,
    Input,
    MaxPooling2D,
    UpSampling2D,
)

SIZE = 16
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:SIZE, :SIZE]


def make_disc():
    center, radius = rng.uniform(4, 12, 2), rng.uniform(2, 5)
    mask = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
    return mask + rng.normal(0, 0.3, mask.shape), mask


pairs = [make_disc() for _ in range(96)]
images = np.stack([image for image, _ in pairs]).astype("float32")[..., None]
masks = np.stack([mask for _, mask in pairs]).astype("float32")[..., None]

smooth = 1.0


def dice_coef(y_true, y_pred):
    y_true_f = K.flatten(y_true)
    y_pred_f = K.flatten(y_pred)
    intersection = K.sum(y_true_f * y_pred_f)
    return (2.0 * intersection + smooth) / (K.sum(y_true_f) + K.sum(y_pred_f) + smooth)


def dice_coef_loss(y_true, y_pred):
    return 1 - dice_coef(y_true, y_pred)


def bce_dice_loss(y_true, y_pred):
    bce = K.mean(K.binary_crossentropy(y_true, y_pred), axis=-1)
    return K.mean(bce) + dice_coef_loss(y_true, y_pred)


def iou(y_true, y_pred):
    y_pred = K.cast(K.greater(y_pred, 0.5), "float32")
    intersection = K.sum(K.abs(y_true * y_pred), axis=[1, 2, 3])
    union = K.sum(y_true, axis=[1, 2, 3]) + K.sum(y_pred, axis=[1, 2, 3]) - intersection
    return K.mean((intersection + K.epsilon()) / (union + K.epsilon()), axis=0)


def conv_block(x, filters):
    x = Conv2D(filters, 3, activation="relu", kernel_initializer="he_normal", padding="same")(x)
    return BatchNormalization()(x)


tf.keras.utils.set_random_seed(5)
inputs = Input((SIZE, SIZE, 1))
c1 = conv_block(inputs, 8)
p1 = MaxPooling2D((2, 2))(c1)
c2 = conv_block(p1, 16)
p2 = MaxPooling2D((2, 2))(c2)
bottom = conv_block(p2, 16)
u2 = Concatenate(axis=3)([UpSampling2D((2, 2))(bottom), c2])
c3 = conv_block(u2, 16)
u1 = Concatenate(axis=3)([UpSampling2D((2, 2))(c3), c1])
c4 = conv_block(u1, 8)
outputs = Conv2D(1, (1, 1), activation="sigmoid")(c4)

model = Model(inputs=[inputs], outputs=[outputs])
model.compile(
    optimizer=tf.keras.optimizers.Adam(learning_rate=1e-2),
    loss=bce_dice_loss,
    metrics=[dice_coef, iou, "binary_accuracy"],
)
model.summary(line_length=100)
history = model.fit(images[:80], masks[:80], batch_size=16, epochs=2, verbose=2)
results = model.evaluate(images[80:], masks[80:], batch_size=16, verbose=0, return_dict=True)
for name, value in results.items():
    print(f"{name}: {value:.6f}")
print(f"K.int_shape: {K.int_shape(outputs)}")
