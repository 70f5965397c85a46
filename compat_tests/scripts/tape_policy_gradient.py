"""Reinforcement learning on a corridor: REINFORCE with a baseline, and Q-learning."""

import numpy as np
import tensorflow as tf

GOAL, LIMIT, GAMMA = 5, 12, 0.95
rng = np.random.default_rng(0)


class Corridor:
    def reset(self):
        self.place, self.steps = 0, 0
        return self.observe()

    def observe(self):
        return np.eye(GOAL + 1, dtype="float32")[self.place]

    def step(self, action):
        self.place = int(np.clip(self.place + (1 if action else -1), 0, GOAL))
        self.steps += 1
        won = self.place == GOAL
        return self.observe(), 1.0 if won else -0.05, won or self.steps >= LIMIT


def settled(model, seed):
    draw = np.random.default_rng(seed)
    model.set_weights([draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
    return model


inputs = tf.keras.layers.Input(shape=(GOAL + 1,))
common = tf.keras.layers.Dense(16, activation="relu")(inputs)
action = tf.keras.layers.Dense(2, activation="softmax")(common)
critic = tf.keras.layers.Dense(1)(common)
model = settled(tf.keras.Model(inputs, [action, critic]), 1)
optimizer = tf.keras.optimizers.Adam(learning_rate=0.02)
huber_loss = tf.keras.losses.Huber()
environment = Corridor()
eps = np.finfo(np.float32).eps.item()

running = 0.0
for episode in range(12):
    state, done = environment.reset(), False
    log_probs, values, rewards = [], [], []
    with tf.GradientTape() as tape:
        while not done:
            probs, value = model(tf.expand_dims(tf.convert_to_tensor(state), 0))
            values.append(value[0, 0])
            chosen = int(rng.random() < 0.5 + 0.4 * float(probs[0, 1] > 0.4))
            log_probs.append(tf.math.log(probs[0, chosen]))
            state, reward, done = environment.step(chosen)
            rewards.append(reward)
        returns, total = [], 0.0
        for reward in rewards[::-1]:
            total = reward + GAMMA * total
            returns.insert(0, total)
        returns = np.array(returns)
        returns = ((returns - returns.mean()) / (returns.std() + eps)).astype("float32")
        losses = []
        for log_prob, value, ret in zip(log_probs, values, returns, strict=True):
            losses.append(-log_prob * tf.stop_gradient(ret - value))
            losses.append(huber_loss(tf.expand_dims(value, 0), tf.expand_dims(ret, 0)))
        loss_value = sum(losses)
    grads = tape.gradient(loss_value, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
    running = 0.1 * sum(rewards) + 0.9 * running
    if episode % 4 == 3:
        print(f"episode {episode}: reward: {running:.3f} loss: {loss_value.numpy():.3f}")

# Q-learning: the target comes from the network that is trained, outside of the tape.
q_network = settled(
    tf.keras.Sequential(
        [
            tf.keras.Input((GOAL + 1,)),
            tf.keras.layers.Dense(16, activation="relu"),
            tf.keras.layers.Dense(2),
        ]
    ),
    2,
)
optimizer = tf.keras.optimizers.Adam(0.01)
places = rng.integers(0, GOAL, 64)
actions = rng.integers(0, 2, 64).astype("int32")
following = np.clip(places + 2 * actions - 1, 0, GOAL)
rewards = np.where(following == GOAL, 1.0, -0.05).astype("float32")
done = (following == GOAL).astype("float32")
states, next_states = (
    np.eye(GOAL + 1, dtype="float32")[places],
    np.eye(GOAL + 1, dtype="float32")[following],
)


@tf.function
def train(states, actions, rewards, next_states, done):
    next_q = tf.reduce_max(q_network(next_states), axis=1)
    target = rewards + GAMMA * next_q * (1.0 - done)
    with tf.GradientTape() as tape:
        mask = tf.one_hot(actions, 2)
        q_values = tf.reduce_sum(q_network(states) * mask, axis=1)
        loss = tf.reduce_mean(tf.square(target - q_values))
    gradients = tape.gradient(loss, q_network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, q_network.trainable_variables, strict=True))
    return loss


for step in range(40):
    loss = train(states, actions, rewards, next_states, done)
    if step % 10 == 9:
        print(f"q {step}: loss: {loss.numpy():.4f}")
q = q_network(np.eye(GOAL + 1, dtype="float32")[:3])
indices = tf.stack([tf.range(3), tf.argmax(q, axis=1, output_type=tf.int32)], axis=1)
print("best:", np.round(tf.gather_nd(q, indices).numpy(), 2).tolist())
print("sorted:", tf.sort(tf.argmax(q, axis=1)).numpy().tolist())
