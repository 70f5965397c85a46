"""Deep Q-learning on a corridor: replay memory, target network, train_on_batch; keras classics."""

import random
from collections import deque

import keras
import numpy as np
from keras.layers import Dense, Input
from keras.models import Sequential
from keras.optimizers import Adam

random.seed(0)
np.random.seed(0)
keras.utils.set_random_seed(0)


class Corridor:
    """Walk left or right from the middle; the right end pays 1, the left end -1."""

    size = 7

    def reset(self):
        self.position, self.steps = self.size // 2, 0
        return self.observe()

    def observe(self):
        state = np.zeros((1, self.size), dtype="float32")
        state[0, self.position] = 1.0
        return state

    def step(self, action):
        self.position += 1 if action == 1 else -1
        self.steps += 1
        done = self.position in (0, self.size - 1) or self.steps >= 15
        reward = {0: -1.0, self.size - 1: 1.0}.get(self.position, -0.02)
        return self.observe(), reward, done


class DQNAgent:
    def __init__(self, state_size, action_size):
        self.action_size = action_size
        self.memory = deque(maxlen=500)
        self.gamma = 0.9
        self.epsilon = 1.0
        self.epsilon_decay = 0.97
        self.model = self._build_model(state_size)
        self.target_model = self._build_model(state_size)
        self.update_target_model()
        self.losses = []

    def _build_model(self, state_size):
        model = Sequential()
        model.add(Input(shape=(state_size,)))
        model.add(Dense(16, activation="relu"))
        model.add(Dense(16, activation="relu"))
        model.add(Dense(self.action_size, activation="linear"))
        model.compile(loss="mse", optimizer=Adam(learning_rate=0.01))
        return model

    def update_target_model(self):
        self.target_model.set_weights(self.model.get_weights())

    def soft_update(self, tau):
        pairs = zip(self.target_model.weights, self.model.weights, strict=True)
        for target, source in pairs:
            target.assign(tau * source + (1 - tau) * target)

    def act(self, state):
        if np.random.rand() <= self.epsilon:
            return random.randrange(self.action_size)
        return int(np.argmax(self.model.predict(state, verbose=0)[0]))

    def replay(self, batch_size):
        batch = random.sample(self.memory, batch_size)
        states = np.concatenate([item[0] for item in batch])
        next_states = np.concatenate([item[3] for item in batch])
        targets = self.model.predict_on_batch(states).copy()
        future = self.target_model.predict_on_batch(next_states).max(axis=1)
        for i, (_, action, reward, _, done) in enumerate(batch):
            targets[i, action] = reward if done else reward + self.gamma * future[i]
        self.losses.append(float(self.model.train_on_batch(states, targets)))
        self.epsilon = max(0.05, self.epsilon * self.epsilon_decay)


env = Corridor()
agent = DQNAgent(env.size, 2)
returns = []
for episode in range(25):
    state, total, done = env.reset(), 0.0, False
    while not done:
        action = agent.act(state)
        next_state, reward, done = env.step(action)
        agent.memory.append((state, action, reward, next_state, done))
        state, total = next_state, total + reward
        if len(agent.memory) > 32 and env.steps % 2 == 0:
            agent.replay(16)
    returns.append(total)
    if episode % 5 == 4:
        agent.update_target_model()

agent.soft_update(0.5)
print(f"updates: {len(agent.losses)}")
print(f"first loss: {agent.losses[0]:.6f}")
print(f"mean loss: {np.mean(agent.losses):.6f}")
print(f"last loss: {agent.losses[-1]:.6f}")
print(f"mean return: {np.mean(returns):.6f}")
print(f"epsilon: {agent.epsilon:.6f}")
values = agent.target_model.predict(np.eye(env.size, dtype="float32"), verbose=0)
print("policy:", np.argmax(values[1:-1], axis=1).tolist())
print("values:", " ".join(f"{v:.5f}" for v in values.max(axis=1)))
