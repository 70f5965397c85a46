"""Models of Keras 2 by how they are connected: nested, shared, with states, masks, keyword tensors.

Each function decorated by `graph` makes a model from `tf_keras` and its `layers`. Its name is that
of the case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .cases import Case, Integers

__all__ = ["graph_cases"]

_CASES: list[Case] = []
WORDS, STEPS, FLAT = Integers((5,), 6), (5, 3), (4,)


def graph(*inputs: Any, trained: bool = True, custom: Any = None) -> Callable[[Any], Any]:
    """Make a case of a function that takes `keras` and `keras.layers`."""

    def enter(function: Any) -> Any:
        name = function.__name__.strip("_").replace("_", " ")
        _CASES.append(
            Case(
                f"graph {name}",
                lambda keras: function(keras, keras.layers),
                inputs,
                _compile if trained else None,
                custom=custom,
            )
        )
        return function

    return enter


def _compile(keras: Any) -> dict[str, Any]:
    return {"optimizer": keras.optimizers.Adam(1e-3), "loss": "mse"}


def graph_cases(keras: Any) -> Iterator[Case]:
    """Yield a case of each graph."""
    yield from _CASES


# Encoders and decoders: calls with a list of states -----------------------------------------------


def _encoder_decoder(cell: str, count: int) -> None:
    def make(keras: Any, layers: Any) -> Any:
        source, target = keras.Input(STEPS), keras.Input((4, 2))
        _, *states = getattr(layers, cell)(6, return_state=True, name="encoder")(source)
        decoder = getattr(layers, cell)(6, return_sequences=True, return_state=True, name="decoder")
        made, *_ = decoder(target, initial_state=states if count > 1 else states[0])
        return keras.Model([source, target], layers.Dense(2, activation="softmax")(made))

    make.__name__ = f"{cell} decoder with initial_state"
    graph(STEPS, (4, 2))(make)

    def listed(keras: Any, layers: Any) -> Any:
        source, target = keras.Input(STEPS), keras.Input((4, 2))
        _, *states = getattr(layers, cell)(6, return_state=True, name="encoder")(source)
        decoder = getattr(layers, cell)(6, return_sequences=True, return_state=True, name="decoder")
        made, *last = decoder([target, *states])
        return keras.Model([source, target], [layers.Dense(2)(made), *last])

    listed.__name__ = f"{cell} decoder called with a list"
    graph(STEPS, (4, 2))(listed)

    def inference(keras: Any, layers: Any) -> Any:
        target = keras.Input((None, 2))
        states = [keras.Input((6,), name=f"state_{i}") for i in range(count)]
        decoder = getattr(layers, cell)(6, return_sequences=True, return_state=True, name="decoder")
        made, *last = decoder(target, initial_state=states)
        return keras.Model([target, *states], [layers.Dense(2)(made), *last])

    inference.__name__ = f"{cell} decoder of states that are inputs"
    graph((4, 2), *[(6,)] * count)(inference)


for _cell, _count in (("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)):
    _encoder_decoder(_cell, _count)


@graph(STEPS, STEPS)
def _bidirectional_with_states(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(STEPS), keras.Input(STEPS)
    _, *states = layers.Bidirectional(layers.LSTM(4, return_state=True))(a)
    decoder = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    return keras.Model([a, b], layers.Dense(2)(decoder(b, initial_state=states)))


@graph(STEPS, STEPS)
def _bidirectional_called_with_a_list(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(STEPS), keras.Input(STEPS)
    _, *states = layers.Bidirectional(layers.GRU(4, return_state=True), merge_mode="sum")(a)
    return keras.Model([a, b], layers.Bidirectional(layers.GRU(4))([b, *states]))


@graph(STEPS)
def _bidirectional_states_joined(keras: Any, layers: Any) -> Any:
    x = keras.Input(STEPS)
    made, h1, c1, h2, c2 = layers.Bidirectional(
        layers.LSTM(3, return_state=True, return_sequences=True)
    )(x)
    h, c = layers.Concatenate()([h1, h2]), layers.Concatenate()([c1, c2])
    return keras.Model(x, layers.LSTM(6)(made, initial_state=[h, c]))


@graph(STEPS)
def _bidirectional_with_a_backward_layer(keras: Any, layers: Any) -> Any:
    x = keras.Input(STEPS)
    back = layers.GRU(4, go_backwards=True, return_sequences=True)
    forth = layers.LSTM(4, return_sequences=True)
    return keras.Model(x, layers.Bidirectional(forth, backward_layer=back, merge_mode="ave")(x))


@graph(STEPS, (3,))
def _rnn_of_cells_with_states(keras: Any, layers: Any) -> Any:
    x, state = keras.Input(STEPS), keras.Input((3,))
    rnn = layers.RNN([layers.GRUCell(3), layers.LSTMCell(3)], return_state=True)
    h, c = layers.Dense(3)(state), layers.Dense(3)(state)
    return keras.Model([x, state], list(rnn(x, initial_state=[state, [h, c]]))[:1])


@graph(STEPS)
def _stacked_rnn_cells(keras: Any, layers: Any) -> Any:
    x = keras.Input(STEPS)
    cells = layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(4)])
    return keras.Model(x, layers.RNN(cells, return_sequences=True)(x))


@graph((3, 4, 5, 2), (3, 4, 5, 2))
def _conv_lstm_with_states(keras: Any, layers: Any) -> Any:
    a, b = keras.Input((3, 4, 5, 2)), keras.Input((3, 4, 5, 2))
    _, *states = layers.ConvLSTM2D(2, 3, padding="same", return_state=True)(a)
    made = layers.ConvLSTM2D(2, 3, padding="same")(b, initial_state=states)
    return keras.Model([a, b], made)


@graph(WORDS, WORDS)
def _translation_with_attention(keras: Any, layers: Any) -> Any:
    a, b = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="int32")
    embed = layers.Embedding(6, 4, mask_zero=True)
    sequence, *states = layers.LSTM(4, return_state=True, return_sequences=True)(embed(a))
    decoded = layers.LSTM(4, return_sequences=True)(embed(b), initial_state=states)
    context = layers.Attention()([decoded, sequence])
    joined = layers.Concatenate()([context, decoded])
    return keras.Model([a, b], layers.TimeDistributed(layers.Dense(3))(joined))


# Masks --------------------------------------------------------------------------------------------


def _masked(name: str, make: Callable[[Any, Any], Any]) -> None:
    def model(keras: Any, layers: Any) -> Any:
        words = keras.Input((5,), dtype="int32")
        return keras.Model(words, make(layers, layers.Embedding(6, 4, mask_zero=True)(words)))

    model.__name__ = f"mask to {name}"
    graph(WORDS)(model)


_masked("LSTM", lambda layers, x: layers.LSTM(3)(x))
_masked("GRU and on", lambda layers, x: layers.GRU(3)(layers.GRU(4, return_sequences=True)(x)))
_masked("Bidirectional", lambda layers, x: layers.Bidirectional(layers.LSTM(3))(x))
_masked("Dense between", lambda layers, x: layers.LSTM(3)(layers.Dense(4)(x)))
_masked("Conv1D", lambda layers, x: layers.GlobalAveragePooling1D()(layers.Conv1D(3, 2)(x)))
_masked("pooling", lambda layers, x: layers.GlobalAveragePooling1D()(layers.Dropout(0.0)(x)))
_masked(
    "TimeDistributed",
    lambda layers, x: layers.LSTM(3)(layers.TimeDistributed(layers.Dense(4))(x)),
)
_masked("Add", lambda layers, x: layers.LSTM(3)(layers.Add()([x, layers.Dense(4)(x)])))
_masked(
    "Concatenate",
    lambda layers, x: layers.LSTM(3)(layers.Concatenate()([x, layers.Dense(2)(x)])),
)
_masked("an operator", lambda layers, x: layers.LSTM(3)(x * 2.0))
_masked("Permute", lambda layers, x: layers.LSTM(3)(layers.Permute((1, 2))(x)))
_masked("Reshape", lambda layers, x: layers.LSTM(3)(layers.Reshape((5, 4))(x)))
_masked("MultiHeadAttention", lambda layers, x: layers.MultiHeadAttention(2, 3)(x, x))
_masked("LayerNormalization", lambda layers, x: layers.GRU(3)(layers.LayerNormalization()(x)))
_masked("BatchNormalization", lambda layers, x: layers.GRU(3)(layers.BatchNormalization()(x)))
_masked("Activation", lambda layers, x: layers.GRU(3)(layers.Activation("relu")(x)))
_masked("Attention", lambda layers, x: layers.Attention(use_scale=True)([x, x]))
_masked("AdditiveAttention", lambda layers, x: layers.AdditiveAttention()([x, x, x]))
_masked("ZeroPadding1D", lambda layers, x: layers.GRU(3)(layers.ZeroPadding1D(1)(x)))
_masked("RepeatVector", lambda layers, x: layers.GRU(3)(layers.RepeatVector(3)(layers.GRU(3)(x))))
_masked("Flatten", lambda layers, x: layers.Dense(2)(layers.Flatten()(x)))


@graph(STEPS)
def _masking_within_a_sequential_model(keras: Any, layers: Any) -> Any:
    return keras.Sequential(
        [keras.Input(STEPS), layers.Masking(0.5), layers.LSTM(3, return_sequences=True),
         layers.LSTM(2)]
    )  # fmt: skip


@graph(WORDS)
def _mask_through_a_nested_model(keras: Any, layers: Any) -> Any:
    words = keras.Input((5,), dtype="int32")
    embed = keras.Sequential([layers.Embedding(6, 4, mask_zero=True), layers.Dense(4)])
    return keras.Model(words, layers.LSTM(3)(embed(words)))


@graph(WORDS)
def _mask_into_a_nested_model(keras: Any, layers: Any) -> Any:
    words, inner = keras.Input((5,), dtype="int32"), keras.Input((5, 4))
    last = keras.Model(inner, layers.LSTM(3)(layers.Dense(4)(inner)))
    return keras.Model(words, last(layers.Embedding(6, 4, mask_zero=True)(words)))


@graph(STEPS, WORDS)
def _mask_as_an_argument(keras: Any, layers: Any) -> Any:
    x, words = keras.Input(STEPS), keras.Input((5,), dtype="int32")
    mask = layers.Embedding(6, 4, mask_zero=True).compute_mask(words)
    return keras.Model([x, words], layers.LSTM(3)(x, mask=mask))


@graph(STEPS, WORDS)
def _mask_of_an_operator_as_an_argument(keras: Any, layers: Any) -> Any:
    x, words = keras.Input(STEPS), keras.Input((5,), dtype="int32")
    return keras.Model([x, words], layers.GRU(3)(x, mask=words > 1))


@graph(STEPS, STEPS, WORDS)
def _masks_of_attention_as_arguments(keras: Any, layers: Any) -> Any:
    a, b, words = keras.Input(STEPS), keras.Input(STEPS), keras.Input((5,), dtype="int32")
    made = layers.Attention()([layers.Dense(3)(a), b], mask=[words > 0, words > 1])
    return keras.Model([a, b, words], made)


# Keyword tensors ----------------------------------------------------------------------------------


@graph(STEPS, (4, 3))
def _attention_with_a_keyword_value(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(STEPS), keras.Input((4, 3))
    return keras.Model([a, b], layers.MultiHeadAttention(2, 3)(a, value=b))


@graph(STEPS, (4, 3))
def _attention_with_keyword_key_and_value(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(STEPS), keras.Input((4, 3))
    attention = layers.MultiHeadAttention(2, 3)
    made = attention(query=a, value=b, key=layers.Dense(3)(b), use_causal_mask=True)
    return keras.Model([a, b], made)


@graph(STEPS, (5, 5), trained=False)
def _attention_with_an_attention_mask(keras: Any, layers: Any) -> Any:
    a, m = keras.Input(STEPS), keras.Input((5, 5))
    made, scores = layers.MultiHeadAttention(2, 3)(
        a, a, attention_mask=m > 0, return_attention_scores=True
    )
    return keras.Model([a, m], [made, scores])


@graph(FLAT, FLAT)
def _a_model_called_by_names(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(FLAT, name="a"), keras.Input(FLAT, name="b")
    p, q = keras.Input(FLAT, name="p"), keras.Input(FLAT, name="q")
    inner = keras.Model({"p": p, "q": q}, layers.Dense(3)(layers.Subtract()([p, q])))
    return keras.Model([a, b], inner({"q": a, "p": b}))


@graph(FLAT, trained=False)
def _training_as_an_argument(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    return keras.Model(x, layers.BatchNormalization()(layers.Dense(3)(x), training=True))


@graph(FLAT)
def _training_false_as_an_argument(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    made = layers.Dropout(0.5)(layers.Dense(3)(x), training=False)
    return keras.Model(x, layers.BatchNormalization()(made, training=False))


# Constants among arguments ------------------------------------------------------------------------


@graph(FLAT)
def _constants_among_merged_tensors(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    return keras.Model(x, layers.Dense(3)(x) * [1.0, 2.0, 3.0] + 1.0)


@graph(STEPS)
def _an_operator_on_a_constant_first(keras: Any, layers: Any) -> Any:
    x = keras.Input(STEPS)
    return keras.Model(x, 1.0 - layers.Dense(3)(x))


@graph(STEPS)
def _layers_between_operators(keras: Any, layers: Any) -> Any:
    x = keras.Input(STEPS)
    a = layers.Dense(3)(x)
    b = layers.LayerNormalization()(a + x)
    return keras.Model(x, layers.Dense(2)(b[:, -1] / 2.0 + b[:, 0]))


# Models within models -----------------------------------------------------------------------------


@graph(FLAT)
def _nested_model(keras: Any, layers: Any) -> Any:
    i = keras.Input(FLAT)
    inner = keras.Model(i, layers.Dense(3)(i), name="inner")
    x = keras.Input(FLAT)
    return keras.Model(x, layers.Dense(2)(inner(x)))


@graph(FLAT, FLAT)
def _siamese_model(keras: Any, layers: Any) -> Any:
    i = keras.Input(FLAT)
    twin = keras.Model(i, layers.Dense(3, activation="tanh")(i), name="twin")
    a, b = keras.Input(FLAT), keras.Input(FLAT)
    return keras.Model([a, b], layers.Dense(1)(layers.Subtract()([twin(a), twin(b)])))


@graph(FLAT, FLAT)
def _siamese_sequential_model(keras: Any, layers: Any) -> Any:
    twin = keras.Sequential([layers.Dense(3, input_shape=FLAT), layers.Dense(2)], name="twin")
    a, b = keras.Input(FLAT), keras.Input(FLAT)
    return keras.Model([a, b], layers.Dot(1)([twin(a), twin(b)]))


@graph(FLAT, FLAT)
def _siamese_sequential_model_without_a_shape(keras: Any, layers: Any) -> Any:
    twin = keras.Sequential([layers.Dense(3), layers.Dense(2)], name="twin")
    a, b = keras.Input(FLAT), keras.Input(FLAT)
    return keras.Model([a, b], layers.Maximum()([twin(a), twin(b)]))


@graph(FLAT)
def _three_levels_of_models(keras: Any, layers: Any) -> Any:
    i, j, x = keras.Input(FLAT), keras.Input(FLAT), keras.Input(FLAT)
    first = keras.Model(i, layers.Dense(4)(i), name="first")
    second = keras.Model(j, layers.Add()([first(j), layers.Dense(4)(first(j))]), name="second")
    return keras.Model(x, [second(x), first(second(x))])


@graph(FLAT)
def _model_of_inner_outputs(keras: Any, layers: Any) -> Any:
    i = keras.Input(FLAT)
    h = layers.Dense(3, name="h")(i)
    whole = keras.Model(i, layers.Dense(2, name="o")(h))
    return keras.Model(whole.input, [whole.get_layer("h").output, whole.output])


@graph(FLAT)
def _models_that_share_layers(keras: Any, layers: Any) -> Any:
    shared, i, j, x = (
        layers.Dense(4, name="s"),
        keras.Input(FLAT),
        keras.Input(FLAT),
        keras.Input(FLAT),
    )
    first = keras.Model(i, layers.Activation("tanh")(shared(i)), name="first")
    second = keras.Model(j, layers.Dense(4)(shared(j)), name="second")
    return keras.Model(x, [first(x), second(x), shared(x)])


@graph(FLAT)
def _one_model_and_its_part(keras: Any, layers: Any) -> Any:
    i = keras.Input(FLAT)
    h = layers.Dense(4, name="h")(i)
    part = keras.Model(i, h, name="part")
    whole = keras.Model(i, layers.Dense(2)(h), name="whole")
    x = keras.Input(FLAT)
    return keras.Model(x, [part(x), whole(x)])


@graph(FLAT)
def _autoencoder(keras: Any, layers: Any) -> Any:
    i, z, x = keras.Input(FLAT), keras.Input((2,)), keras.Input(FLAT)
    encoder = keras.Model(i, layers.Dense(2, activation="relu")(i), name="encoder")
    decoder = keras.Model(z, layers.Dense(4, activation="sigmoid")(z), name="decoder")
    return keras.Model(x, decoder(encoder(x)), name="autoencoder")


@graph(FLAT)
def _autoencoder_from_the_first_input(keras: Any, layers: Any) -> Any:
    i, z = keras.Input(FLAT), keras.Input((2,))
    encoder = keras.Model(i, layers.Dense(2)(i), name="encoder")
    decoder = keras.Model(z, layers.Dense(4)(z), name="decoder")
    return keras.Model(encoder.input, decoder(encoder.output))


@graph(FLAT)
def _model_with_several_outputs(keras: Any, layers: Any) -> Any:
    i, x = keras.Input(FLAT), keras.Input(FLAT)
    inner = keras.Model(i, [layers.Dense(2)(i), layers.Dense(3)(i)])
    a, b = inner(x)
    c, _ = inner(layers.Activation("relu")(x))
    return keras.Model(x, [b, layers.Concatenate()([a, c])])


@graph(FLAT, FLAT)
def _model_with_several_inputs(keras: Any, layers: Any) -> Any:
    i, j, a, b = (keras.Input(FLAT) for _ in range(4))
    inner = keras.Model([i, j], layers.Dense(2)(layers.Concatenate()([i, j])))
    return keras.Model([a, b], layers.Add()([inner([a, b]), inner([b, a])]))


@graph(FLAT)
def _model_with_outputs_in_a_dict(keras: Any, layers: Any) -> Any:
    i, x = keras.Input(FLAT), keras.Input(FLAT)
    inner = keras.Model(i, {"b": layers.Dense(2)(i), "a": layers.Dense(3)(i)})
    made = inner(x)
    return keras.Model(x, layers.Concatenate()([made["b"], made["a"]]))


@graph(FLAT)
def _model_without_layers_between(keras: Any, layers: Any) -> Any:
    i, x = keras.Input(FLAT), keras.Input(FLAT)
    same = keras.Model(i, i, name="same")
    return keras.Model(x, layers.Dense(2)(same(x)))


@graph(FLAT)
def _model_whose_output_is_its_input_too(keras: Any, layers: Any) -> Any:
    i, x = keras.Input(FLAT), keras.Input(FLAT)
    inner = keras.Model(i, [i, layers.Dense(3)(i)])
    return keras.Model(x, layers.Concatenate()(inner(x)))


@graph(FLAT)
def _sequential_of_models(keras: Any, layers: Any) -> Any:
    i = keras.Input(FLAT)
    functional = keras.Model(i, layers.Dense(3)(i), name="functional")
    inner = keras.Sequential([layers.Dense(3, input_shape=(3,)), layers.ReLU()], name="inner")
    return keras.Sequential([functional, inner, layers.Dense(2)])


@graph(FLAT)
def _sequential_that_repeats_a_model(keras: Any, layers: Any) -> Any:
    inner = keras.Sequential([layers.Dense(4, input_shape=FLAT)], name="inner")
    x = keras.Input(FLAT)
    return keras.Model(x, inner(layers.ReLU()(inner(inner(x)))))


@graph(FLAT)
def _sequential_continued_from_its_output(keras: Any, layers: Any) -> Any:
    base = keras.Sequential([layers.Dense(3, input_shape=FLAT), layers.ReLU()])
    return keras.Model(base.input, layers.Dense(2)(base.output))


@graph((6, 5, 3))
def _frozen_base_and_head(keras: Any, layers: Any) -> Any:
    i = keras.Input((6, 5, 3))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, name="c")(i))
    base = keras.Model(i, layers.ReLU()(y), name="base")
    base.trainable = False
    x = keras.Input((6, 5, 3))
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(base(x, training=False))))


@graph(FLAT)
def _partly_frozen_model(keras: Any, layers: Any) -> Any:
    inner = keras.Sequential([layers.Dense(4, input_shape=FLAT), layers.Dense(3)], name="inner")
    inner.layers[0].trainable = False
    x = keras.Input(FLAT)
    return keras.Model(x, layers.BatchNormalization()(inner(x)))


# Wrappers around models ---------------------------------------------------------------------------


@graph(STEPS)
def _time_distributed_sequential(keras: Any, layers: Any) -> Any:
    inner = keras.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(2)])
    x = keras.Input(STEPS)
    return keras.Model(x, layers.LSTM(3)(layers.TimeDistributed(inner)(x)))


@graph(STEPS)
def _time_distributed_functional(keras: Any, layers: Any) -> Any:
    i, x = keras.Input((3,)), keras.Input(STEPS)
    inner = keras.Model(i, layers.Add()([layers.Dense(3)(i), i]))
    return keras.Model(x, layers.TimeDistributed(inner, name="each")(x))


@graph((3, 6, 5, 2))
def _time_distributed_convolutions(keras: Any, layers: Any) -> Any:
    inner = keras.Sequential(
        [layers.Conv2D(3, 3, input_shape=(6, 5, 2)), layers.BatchNormalization(), layers.Flatten()]
    )
    x = keras.Input((3, 6, 5, 2))
    return keras.Model(x, layers.GRU(3)(layers.TimeDistributed(inner)(x)))


@graph((3, *STEPS))
def _time_distributed_twice(keras: Any, layers: Any) -> Any:
    i, x = keras.Input((3,)), keras.Input((3, *STEPS))
    inner = keras.Model(i, layers.Dense(2)(i))
    return keras.Model(x, layers.TimeDistributed(layers.TimeDistributed(inner))(x))


@graph((3, *STEPS))
def _time_distributed_recurrent(keras: Any, layers: Any) -> Any:
    x = keras.Input((3, *STEPS))
    words = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(3)))(x)
    return keras.Model(x, layers.LSTM(2)(words))


@graph((3, 5), (3, 5))
def _time_distributed_shared(keras: Any, layers: Any) -> Any:
    inner = keras.Sequential([layers.Dense(4, input_shape=(5,))])
    a, b, each = keras.Input((3, 5)), keras.Input((3, 5)), layers.TimeDistributed(inner)
    return keras.Model([a, b], layers.Add()([each(a), each(b)]))


@graph(STEPS)
def _time_distributed_in_a_sequential(keras: Any, layers: Any) -> Any:
    each = layers.TimeDistributed(layers.Dense(4, activation="relu"), input_shape=STEPS)
    return keras.Sequential([each, layers.Flatten(), layers.Dense(2)])


# Layers called several times ----------------------------------------------------------------------


@graph(FLAT, FLAT, FLAT)
def _layer_called_three_times(keras: Any, layers: Any) -> Any:
    ins, dense = [keras.Input(FLAT) for _ in range(3)], layers.Dense(3)
    return keras.Model(ins, layers.Concatenate()([dense(x) for x in reversed(ins)]))


@graph(FLAT)
def _layer_called_on_its_own_output(keras: Any, layers: Any) -> Any:
    x, dense = keras.Input(FLAT), layers.Dense(4, activation="tanh")
    return keras.Model(x, dense(dense(dense(x))))


@graph(FLAT)
def _layer_called_outside_of_the_model_first(keras: Any, layers: Any) -> Any:
    other, x, dense = keras.Input(FLAT), keras.Input(FLAT), layers.Dense(4)
    dense(other)
    dense(dense(other))
    return keras.Model(x, layers.Dense(2)(dense(x)))


@graph(FLAT)
def _model_called_outside_of_the_model_first(keras: Any, layers: Any) -> Any:
    i, other, x = keras.Input(FLAT), keras.Input(FLAT), keras.Input(FLAT)
    inner = keras.Model(i, layers.Dense(4)(i), name="inner")
    inner(inner(other))
    return keras.Model(x, [layers.Dense(2)(inner(x)), inner.get_layer(index=1)(x)])


@graph(FLAT)
def _shared_layer_in_and_out_of_a_model(keras: Any, layers: Any) -> Any:
    i, x, shared = keras.Input(FLAT), keras.Input(FLAT), layers.Dense(4, name="shared")
    inner = keras.Model(i, layers.ReLU()(shared(i)), name="inner")
    return keras.Model(x, inner(shared(x)))


@graph(WORDS, WORDS)
def _shared_embedding_and_recurrent(keras: Any, layers: Any) -> Any:
    a, b = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="int32")
    embed, read = layers.Embedding(6, 4), layers.GRU(3, return_state=True)
    (x, s), (y, t) = read(embed(a)), read(embed(b))
    return keras.Model([a, b], layers.Concatenate()([x, y, s, t]))


@graph((6, 5, 3))
def _shared_batch_normalization(keras: Any, layers: Any) -> Any:
    x, norm = keras.Input((6, 5, 3)), layers.BatchNormalization()
    return keras.Model(x, norm(layers.Conv2D(3, 3)(norm(x))))


# Inputs and outputs -------------------------------------------------------------------------------


@graph(FLAT, (2,))
def _inputs_by_name(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(FLAT, name="first"), keras.Input((2,), name="other")
    return keras.Model({"first": a, "other": b}, layers.Dense(2)(layers.Concatenate()([b, a])))


@graph(FLAT, FLAT)
def _an_input_handed_out(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(FLAT), keras.Input(FLAT)
    return keras.Model([a, b], [layers.Dense(2)(a), b])


@graph(FLAT)
def _one_tensor_twice_among_outputs(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    y = layers.Dense(2)(x)
    return keras.Model(x, [y, layers.Dense(3)(y), y])


@graph(FLAT)
def _outputs_in_a_list_of_one(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    return keras.Model([x], [layers.Dense(2)(x)])


@graph(FLAT, trained=False)
def _outputs_in_a_dict(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    return keras.Model(x, {"b": layers.Dense(2, name="b")(x), "a": layers.Dense(3, name="a")(x)})


@graph(FLAT, FLAT, trained=False)
def _outputs_nested(keras: Any, layers: Any) -> Any:
    a, b = keras.Input(FLAT), keras.Input(FLAT)
    return keras.Model([a, [b]], [layers.Dense(2)(a), {"k": [layers.Dense(3)(b), a]}])


@graph(FLAT)
def _split_and_merged(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    a, b = keras.src.engine.base_layer.tf.split(layers.Dense(6)(x), 2, axis=1)
    return keras.Model(x, layers.Multiply()([a, layers.Activation("sigmoid")(b)]))


@graph(FLAT)
def _merged_one_tensor_twice(keras: Any, layers: Any) -> Any:
    x = keras.Input(FLAT)
    y = layers.Dense(3)(x)
    return keras.Model(x, layers.Add()([y, y, layers.Multiply()([y, y])]))


@graph((6, 5, 3))
def _residual_blocks(keras: Any, layers: Any) -> Any:
    x = y = keras.Input((6, 5, 3))
    for i in range(3):
        z = layers.Conv2D(3, 3, padding="same", name=f"conv_{i}")(y)
        y = layers.Add(name=f"add_{i}")([y, layers.ReLU(name=f"relu_{i}")(z)])
    return keras.Model(x, y)


@graph((6, 5, 3))
def _names_with_slashes(keras: Any, layers: Any) -> Any:
    i, x = keras.Input((6, 5, 3)), keras.Input((6, 5, 3))
    inner = keras.Model(i, layers.Conv2D(2, 3, name="stage/conv")(i), name="inner/model")
    return keras.Model(x, layers.BatchNormalization(name="stage/norm")(inner(x)))
