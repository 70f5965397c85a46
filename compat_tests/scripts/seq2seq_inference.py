"""Character-level translation: LSTM encoder and decoder, teacher forcing, inference models."""

import keras
import numpy as np

batch_size = 32
epochs = 3
latent_dim = 24
rng = np.random.default_rng(2)
alphabet = "abcdef"
input_texts = ["".join(rng.choice(list(alphabet), size=rng.integers(2, 6))) for _ in range(192)]
target_texts = ["\t" + text[::-1].upper() + "\n" for text in input_texts]

input_characters = sorted(set("".join(input_texts)) | {" "})
target_characters = sorted(set("".join(target_texts)) | {" "})
num_encoder_tokens, num_decoder_tokens = len(input_characters), len(target_characters)
max_encoder = max(len(text) for text in input_texts)
max_decoder = max(len(text) for text in target_texts)
print("Number of samples:", len(input_texts))
print("Number of unique output tokens:", num_decoder_tokens)

input_index = {char: i for i, char in enumerate(input_characters)}
target_index = {char: i for i, char in enumerate(target_characters)}
encoder_data = np.zeros((len(input_texts), max_encoder, num_encoder_tokens), dtype="float32")
decoder_data = np.zeros((len(input_texts), max_decoder, num_decoder_tokens), dtype="float32")
decoder_target = np.zeros_like(decoder_data)
for i, (source, target) in enumerate(zip(input_texts, target_texts, strict=True)):
    for t, char in enumerate(source):
        encoder_data[i, t, input_index[char]] = 1.0
    encoder_data[i, len(source) :, input_index[" "]] = 1.0
    for t, char in enumerate(target):
        decoder_data[i, t, target_index[char]] = 1.0
        if t > 0:
            decoder_target[i, t - 1, target_index[char]] = 1.0
    decoder_data[i, len(target) :, target_index[" "]] = 1.0
    decoder_target[i, len(target) - 1 :, target_index[" "]] = 1.0

keras.utils.set_random_seed(2)
encoder_inputs = keras.Input(shape=(None, num_encoder_tokens))
encoder = keras.layers.LSTM(latent_dim, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]

decoder_inputs = keras.Input(shape=(None, num_decoder_tokens))
decoder_lstm = keras.layers.LSTM(latent_dim, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = keras.layers.Dense(num_decoder_tokens, activation="softmax")
decoder_outputs = decoder_dense(decoder_outputs)

model = keras.Model([encoder_inputs, decoder_inputs], decoder_outputs)
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
model.summary()
model.fit(
    [encoder_data, decoder_data],
    decoder_target,
    batch_size=batch_size,
    epochs=epochs,
    validation_split=0.2,
    verbose=2,
)
model.save("s2s_model.keras")
model = keras.models.load_model("s2s_model.keras")
loss, accuracy = model.evaluate([encoder_data, decoder_data], decoder_target, verbose=0)
print(f"loss: {loss:.6f}")
print(f"accuracy: {accuracy:.6f}")

# inference models from the layers of the trained, saved and loaded one
encoder_inputs = model.input[0]
_, state_h_enc, state_c_enc = model.layers[2].output
encoder_model = keras.Model(encoder_inputs, [state_h_enc, state_c_enc])
decoder_inputs = model.input[1]
state_inputs = [keras.Input(shape=(latent_dim,)), keras.Input(shape=(latent_dim,))]
decoder_lstm = model.layers[3]
outputs, state_h, state_c = decoder_lstm(decoder_inputs, initial_state=state_inputs)
outputs = model.layers[4](outputs)
decoder_model = keras.Model([decoder_inputs] + state_inputs, [outputs, state_h, state_c])


def decode_sequence(sequence):
    states = encoder_model.predict(sequence, verbose=0)
    target = np.zeros((1, 1, num_decoder_tokens))
    target[0, 0, target_index["\t"]] = 1.0
    decoded, confidence = "", []
    while len(decoded) < max_decoder and not decoded.endswith("\n"):
        tokens, h, c = decoder_model.predict([target] + states, verbose=0)
        best = int(np.argmax(tokens[0, -1, :]))
        decoded += target_characters[best]
        confidence.append(tokens[0, -1, best])
        target = np.zeros((1, 1, num_decoder_tokens))
        target[0, 0, best] = 1.0
        states = [h, c]
    return decoded, float(np.mean(confidence))


for i in range(3):
    decoded, confidence = decode_sequence(encoder_data[i : i + 1])
    print(f"{input_texts[i]} -> {decoded!r}: {confidence:.5f}")
