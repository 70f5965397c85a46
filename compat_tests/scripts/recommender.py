"""Matrix factorization with biases and a wide-and-deep model on made-up ratings and columns."""

import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from keras.layers import Add, Concatenate, Dense, Dot, Embedding, Flatten, Input
from sklearn.preprocessing import LabelEncoder

rng = np.random.default_rng(12)
ratings = pd.DataFrame(
    {
        "user": rng.choice([f"u{i}" for i in range(30)], 600),
        "movie": rng.choice([f"m{i}" for i in range(20)], 600),
        "age": rng.integers(15, 70, 600),
    }
)
ratings["user_id"] = LabelEncoder().fit_transform(ratings.user)
ratings["movie_id"] = LabelEncoder().fit_transform(ratings.movie)
taste, quality = rng.normal(size=(30, 2)), rng.normal(size=(20, 2))
score = (taste[ratings.user_id] * quality[ratings.movie_id]).sum(axis=1) + ratings.age / 50
ratings["rating"] = ((score - score.min()) / (score.max() - score.min())).astype("float32")
n_users, n_movies = ratings.user_id.nunique(), ratings.movie_id.nunique()
train, test = ratings[:480], ratings[480:]
print(f"Number of users: {n_users}, Number of Movies: {n_movies}")

keras.utils.set_random_seed(12)
user = Input(shape=(1,), name="user")
movie = Input(shape=(1,), name="movie")
normal = keras.initializers.RandomNormal(stddev=0.05)
l2 = keras.regularizers.L2(1e-5)
u = Flatten()(Embedding(n_users, 8, embeddings_regularizer=l2, name="user_factors")(user))
m = Flatten()(Embedding(n_movies, 8, embeddings_regularizer=l2, name="movie_factors")(movie))
u_bias = Flatten()(Embedding(n_users, 1, embeddings_initializer=normal, name="user_bias")(user))
m_bias = Flatten()(Embedding(n_movies, 1, embeddings_initializer=normal, name="m_bias")(movie))
x = Add()([Dot(axes=1)([u, m]), u_bias, m_bias])
model = keras.Model([user, movie], layers.Activation("sigmoid")(x), name="factors")
model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(0.01), metrics=["mae"])
model.summary()
history = model.fit(
    x=[train.user_id.values, train.movie_id.values],
    y=train.rating.values,
    batch_size=64,
    epochs=3,
    verbose=2,
    validation_data=([test.user_id.values, test.movie_id.values], test.rating.values),
)
print(f"factors val_loss: {history.history['val_loss'][-1]:.6f}")
print(f"factors val_mae: {history.history['val_mae'][-1]:.6f}")


class RecommenderNet(keras.Model):
    """The same, subclassed, indexing columns of one input."""

    def __init__(self, num_users, num_movies, size, **kwargs):
        super().__init__(**kwargs)
        self.user_embedding = layers.Embedding(num_users, size)
        self.user_bias = layers.Embedding(num_users, 1)
        self.movie_embedding = layers.Embedding(num_movies, size)
        self.movie_bias = layers.Embedding(num_movies, 1)

    def call(self, inputs):
        u = self.user_embedding(inputs[:, 0])
        m = self.movie_embedding(inputs[:, 1])
        dot = ops.sum(u * m, axis=1, keepdims=True)
        total = dot + self.user_bias(inputs[:, 0]) + self.movie_bias(inputs[:, 1])
        return ops.nn.sigmoid(total)


net = RecommenderNet(n_users, n_movies, 8)
net.compile(loss=keras.losses.BinaryCrossentropy(), optimizer=keras.optimizers.Adam(0.005))
columns = ["user_id", "movie_id"]
net.fit(train[columns].values, train.rating.values, batch_size=32, epochs=2, verbose=2)
print(f"subclassed loss: {net.evaluate(test[columns].values, test.rating.values, verbose=0):.6f}")

# wide and deep, fed with pandas columns
inputs = {
    "user": Input((1,), name="user", dtype="int32"),
    "movie": Input((1,), name="movie", dtype="int32"),
    "age": Input((1,), name="age"),
}
wide = layers.Normalization(
    axis=None, mean=float(train.age.mean()), variance=float(train.age.var())
)(inputs["age"])
deep = Concatenate()([Flatten()(Embedding(30, 4)(inputs[name])) for name in ("user", "movie")])
deep = Dense(16, activation="relu")(Concatenate()([deep, wide]))
both = keras.Model(inputs, Dense(1)(Concatenate()([deep, wide])))
both.compile("adam", "mse", metrics=[keras.metrics.R2Score(name="r2")])
frame = {"user": train.user_id, "movie": train.movie_id, "age": train.age}
both.fit({k: v.values for k, v in frame.items()}, train[["rating"]], epochs=2, verbose=2)
held = {"user": test.user_id.values, "movie": test.movie_id.values, "age": test.age.values}
for name, value in both.evaluate(held, test[["rating"]], verbose=0, return_dict=True).items():
    print(f"wide and deep {name}: {value:.6f}")
movies = pd.Series(model.get_layer("movie_factors").get_weights()[0][:, 0])
print(f"first factor: {movies.abs().mean():.6f}")
