"""`fit_generator` with `ImageDataGenerator`, as in scripts of 2017 to 2020."""

import numpy as np
from tensorflow.keras.callbacks import EarlyStopping, ReduceLROnPlateau
from tensorflow.keras.layers import Activation, Conv2D, Dense, Flatten, MaxPooling2D
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import SGD
from tensorflow.keras.preprocessing.image import ImageDataGenerator
from tensorflow.keras.utils import to_categorical

x = np.random.rand(40, 8, 8, 3)
y = to_categorical(np.arange(40) % 4, num_classes=4)
model = Sequential()
model.add(Conv2D(4, (3, 3), padding="same", input_shape=x.shape[1:]))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(4))
model.add(Activation("softmax"))
sgd = SGD(lr=0.01, decay=1e-6, momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
datagen = ImageDataGenerator(rotation_range=15, width_shift_range=0.1, horizontal_flip=True)
datagen.fit(x)
history = model.fit_generator(
    datagen.flow(x, y, batch_size=8),
    steps_per_epoch=len(x) // 8,
    epochs=2,
    validation_data=(x, y),
    workers=4,
    use_multiprocessing=False,
    callbacks=[EarlyStopping(patience=5), ReduceLROnPlateau(factor=0.5, patience=3, min_lr=1e-5)],
    verbose=0,
)
assert sorted(history.history)[:2] == ["accuracy", "learning_rate"] or "loss" in history.history
scores = model.evaluate_generator(datagen.flow(x, y, batch_size=8, shuffle=False), steps=5)
assert len(scores) == len(model.metrics_names) == 2
found = model.predict_generator(datagen.flow(x, batch_size=8, shuffle=False), steps=5)
assert found.shape == (40, 4)
