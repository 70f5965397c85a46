import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, Dropout

# Create a Sequential model
model = Sequential([
    # Input layer (specify input shape for the first layer)
    Dense(64, activation='relu', input_shape=(100,)),  
    # Hidden layer with dropout for regularization
    Dropout(0.5),
    Dense(64, activation='relu'),
    # Output layer (for binary classification, using sigmoid activation)
    Dense(1, activation='sigmoid')
])

# Display the model summary
model.summary()

model.compile(
    optimizer='adam',                # Optimizer to update weights
    loss='binary_crossentropy',      # Loss function for binary classification
    metrics=['accuracy']             # Evaluation metric
)

import numpy as np

# Generate dummy training data
X_train = np.random.rand(1000, 100)  # 1000 samples, each with 100 features
y_train = np.random.randint(2, size=(1000, 1))  # 1000 binary labels

# Train the model
history = model.fit(
    X_train, y_train,
    epochs=10,             # Number of times to iterate over the dataset
    batch_size=32,         # Number of samples per gradient update
    validation_split=0.2   # Reserve 20% of data for validation
)

# Generate dummy test data
X_test = np.random.rand(200, 100)
y_test = np.random.randint(2, size=(200, 1))

# Evaluate the model on the test data
test_loss, test_accuracy = model.evaluate(X_test, y_test)
print(f"Test loss: {test_loss}, Test accuracy: {test_accuracy}")

# Predict probabilities on new data
predictions = model.predict(X_test)
# For binary classification, convert probabilities to class labels
predicted_classes = (predictions > 0.5).astype("int32")
print(predicted_classes[:5])

from tensorflow.keras.layers import Input, Dense
from tensorflow.keras.models import Model

# Define the input
inputs = Input(shape=(100,))

# Define the layers and connect them
x = Dense(64, activation='relu')(inputs)
x = Dense(64, activation='relu')(x)
outputs = Dense(1, activation='sigmoid')(x)

# Create the model
functional_model = Model(inputs=inputs, outputs=outputs)
functional_model.summary()

# Compile the model
functional_model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])

from tensorflow.keras.callbacks import EarlyStopping, ModelCheckpoint

# Early stopping to halt training when a monitored metric has stopped improving.
early_stopping = EarlyStopping(monitor='val_loss', patience=3, verbose=1)

# Save the model after every epoch if the validation loss improves.
model_checkpoint = ModelCheckpoint('best_model.h5', monitor='val_loss', save_best_only=True, verbose=1)

# Train the model with callbacks
history = model.fit(
    X_train, y_train,
    epochs=20,
    batch_size=32,
    validation_split=0.2,
    callbacks=[early_stopping, model_checkpoint]
)

# Save the entire model to a HDF5 file
model.save('my_model.h5')

# Later, load the model (for inference or further training)
from tensorflow.keras.models import load_model
loaded_model = load_model('my_model.h5')

# Verify that the loaded model works as expected
loaded_model.evaluate(X_test, y_test)
