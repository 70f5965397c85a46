"""Actor and critic on a corridor: an environment in `numpy_function`, tensor arrays, returns."""

import numpy as np
import tensorflow as tf

GOAL, STEPS = 4, 12
eps = np.finfo(np.float32).eps.item()
noise = np.random.default_rng(0).gumbel(size=(40, STEPS, 2)).astype("float32")


class Corridor:
    def reset(self):
        self.place = 0
        return self.state()

    def state(self):
        return np.eye(GOAL + 1, dtype=np.float32)[self.place]

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        done = self.place == GOAL
        return self.state(), np.array(1 if done else 0, np.int32), np.array(done, np.int32)


env = Corridor()


def tf_env_step(action):
    return tf.numpy_function(env.step, [action], [tf.float32, tf.int32, tf.int32])


class ActorCritic(tf.keras.Model):
    def __init__(self, num_actions, units):
        super().__init__()
        self.common = tf.keras.layers.Dense(units, activation="relu")
        self.actor = tf.keras.layers.Dense(num_actions)
        self.critic = tf.keras.layers.Dense(1)

    def call(self, inputs):
        x = self.common(inputs)
        return self.actor(x), self.critic(x)


model = ActorCritic(2, 16)
model(tf.zeros([1, GOAL + 1]))
draw = np.random.default_rng(3)
model.set_weights([draw.normal(0, 0.3, w.shape) for w in model.get_weights()])
huber_loss = tf.keras.losses.Huber(reduction="sum")
optimizer = tf.keras.optimizers.Adam(learning_rate=0.02)


def run_episode(initial_state, episode):
    action_probs = tf.TensorArray(dtype=tf.float32, size=0, dynamic_size=True)
    values = tf.TensorArray(dtype=tf.float32, size=0, dynamic_size=True)
    rewards = tf.TensorArray(dtype=tf.int32, size=0, dynamic_size=True)
    state = initial_state
    for t in range(STEPS):
        state = tf.expand_dims(state, 0)
        action_logits_t, value = model(state)
        action = tf.argmax(action_logits_t + noise[episode, t], axis=1)[0]  # a drawn one
        action_probs_t = tf.nn.softmax(action_logits_t)
        values = values.write(t, tf.squeeze(value))
        action_probs = action_probs.write(t, action_probs_t[0, action])
        state, reward, done = tf_env_step(action)
        state.set_shape(initial_state.shape)
        rewards = rewards.write(t, reward)
        if tf.cast(done, tf.bool):
            break
    return action_probs.stack(), values.stack(), rewards.stack()


def get_expected_return(rewards, gamma, standardize=True):
    n = tf.shape(rewards)[0]
    returns = tf.TensorArray(dtype=tf.float32, size=n)
    rewards = tf.cast(rewards[::-1], dtype=tf.float32)
    discounted_sum = tf.constant(0.0)
    for i in tf.range(n):
        discounted_sum = rewards[i] + gamma * discounted_sum
        returns = returns.write(i, discounted_sum)
    returns = returns.stack()[::-1]
    if standardize:
        returns = (returns - tf.math.reduce_mean(returns)) / (tf.math.reduce_std(returns) + eps)
    return returns


def compute_loss(action_probs, values, returns):
    advantage = returns - values
    actor_loss = -tf.math.reduce_sum(tf.math.log(action_probs) * advantage)
    return actor_loss + huber_loss(values, returns)


def train_step(initial_state, episode):
    with tf.GradientTape() as tape:
        action_probs, values, rewards = run_episode(initial_state, episode)
        returns = get_expected_return(rewards, 0.9)
        action_probs, values, returns = (
            tf.expand_dims(x, 1) for x in (action_probs, values, returns)
        )
        loss = compute_loss(action_probs, values, returns)
    grads = tape.gradient(loss, model.trainable_variables)
    grads = [tf.clip_by_norm(g, 5.0) for g in grads]
    optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
    return loss, tf.math.reduce_sum(rewards), tf.shape(rewards)[0]


wins, running = 0, 0.0
for episode in range(12):
    initial_state = tf.constant(env.reset(), dtype=tf.float32)
    loss, reward, steps = train_step(initial_state, episode)
    wins += int(reward)
    running = 0.05 * int(steps) + 0.95 * running
    if episode % 3 == 0:
        print(f"episode {episode}: loss: {loss:.3f} steps: {int(steps)} reward: {int(reward)}")
print("wins:", wins, f"running: {running:.4f}")
print("returns:", np.round(get_expected_return(tf.constant([0, 0, 1]), 0.5, False), 4).tolist())
logits, value = model(tf.eye(GOAL + 1))
print("values:", np.round(value.numpy().ravel(), 2).tolist())
print("policy:", np.round(tf.nn.softmax(logits)[:, 1].numpy(), 2).tolist())
