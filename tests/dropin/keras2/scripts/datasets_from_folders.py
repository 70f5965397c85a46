"""`image_dataset_from_directory` and `smart_resize`."""

import os
import tempfile

import numpy as np
import tensorflow as tf

folder = tempfile.mkdtemp()
for label in ("cats", "dogs"):
    os.makedirs(os.path.join(folder, label))
    for number in range(3):
        image = np.random.randint(0, 255, (12, 20, 3)).astype("uint8")
        path = os.path.join(folder, label, f"{number}.png")
        tf.keras.preprocessing.image.save_img(path, image)
dataset = tf.keras.preprocessing.image_dataset_from_directory(
    folder, image_size=(8, 8), batch_size=2, smart_resize=True, seed=1
)
assert dataset.class_names == ["cats", "dogs"]
images, labels = next(iter(dataset))
assert images.shape == (2, 8, 8, 3) and labels.shape == (2,)
cut = tf.keras.preprocessing.image.smart_resize(np.ones((12, 20, 3)), (8, 8))
assert cut.shape == (8, 8, 3)
