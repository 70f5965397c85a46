"""Text: tell praise from blame with `Embedding` and `LSTM`, on sentences this file makes.

The sentences contain negations ("not at all dull"), so that single words do not give the answer
away: the order matters, which is what an LSTM is for. Padding is masked.
"""

import random

import numpy as np
from curves import parse_options, save_curves

import torchkeras as keras
from torchkeras import layers

THINGS = ("film", "book", "meal", "concert", "game", "lecture", "journey", "play")
GOOD = ("wonderful", "clever", "moving", "delicious", "brilliant", "charming", "funny")
BAD = ("dull", "tedious", "awful", "clumsy", "bland", "annoying", "pointless")
STARTS = ("the {} was", "i found the {}", "that {} is", "we all thought the {} was")
NEGATIONS = ("not", "not at all", "anything but", "never")
ADVERBS = ("", "really", "rather", "very", "quite", "truly")
ENDS = ("", "as everybody said", "from start to end", "last night", "if you ask me")
LENGTH = 16


def make_sentences(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Make sentences and their labels: 1 for praise, 0 for blame."""
    rng = random.Random(seed)
    sentences, labels = [], []
    for _ in range(count):
        good, negated = rng.random() < 0.5, rng.random() < 0.3
        words = [
            rng.choice(STARTS).format(rng.choice(THINGS)),
            rng.choice(NEGATIONS) if negated else "",
            rng.choice(ADVERBS),
            rng.choice(GOOD if good else BAD),
            rng.choice(ENDS),
        ]
        sentences.append(" ".join(" ".join(words).split()))
        labels.append(float(good != negated))
    return sentences, np.array(labels, dtype="float32")


def encode(sentences: list[str], vocabulary: dict[str, int]) -> np.ndarray:
    """Turn sentences into rows of word numbers; 0 is padding, 1 an unknown word."""
    numbers = [[vocabulary.get(word, 1) for word in sentence.split()] for sentence in sentences]
    return keras.utils.pad_sequences(numbers, maxlen=LENGTH, padding="post")


def main() -> None:
    """Train on 2000 sentences; report on 500 others and on three by hand."""
    options = parse_options(__doc__, epochs=5)
    keras.utils.set_random_seed(options.seed)
    sentences, labels = make_sentences(2500, options.seed)
    words = sorted({word for sentence in sentences for word in sentence.split()})
    vocabulary = {word: number for number, word in enumerate(words, start=2)}
    x = encode(sentences, vocabulary)

    model = keras.Sequential(
        [
            layers.Input((LENGTH,), dtype="int32"),
            layers.Embedding(len(vocabulary) + 2, 32, mask_zero=True),
            layers.LSTM(32),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.Adam(5e-3, clipnorm=1.0)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x[:2000],
        labels[:2000],
        batch_size=32,
        epochs=options.epochs,
        validation_data=(x[2000:], labels[2000:]),
        verbose=2,
    )
    _, accuracy = model.evaluate(x[2000:], labels[2000:], verbose=0)
    tries = ["the film was anything but dull", "i found the meal not very clever", "that is bland"]
    for sentence, praise in zip(
        tries, model.predict(encode(tries, vocabulary), verbose=0), strict=True
    ):
        print(f"{praise[0]:.2f} praise: {sentence}")
    print(f"Held-out accuracy: {accuracy:.4f}")
    save_curves(history.history, options.output / "text_lstm.png")


if __name__ == "__main__":
    main()
