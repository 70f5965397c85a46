"""What the backend of Keras 2 had for graphs and the learning phase."""

import numpy as np
import pytest
import torch


def test_functions_of_symbolic_tensors(mixed):
    backend = mixed.backend
    layers = [mixed.layers.Dense(2, input_shape=(3,)), mixed.layers.Dropout(0.5)]
    model = mixed.Sequential(layers)
    x = np.ones((64, 3), "float32")
    hidden = backend.function([model.input], [model.layers[0].output])([x])[0]
    np.testing.assert_allclose(hidden, model.layers[0](x).detach(), rtol=1e-6)
    run = backend.function([model.input, backend.learning_phase()], [model.output])
    np.testing.assert_allclose(run([x, 0])[0], hidden, rtol=1e-6)
    assert (run([x, 1])[0] == 0).any() and isinstance(run([x, 1])[0], np.ndarray)
    with pytest.raises(ValueError, match="number of values"):
        run([x])
    with pytest.raises(ValueError, match="updates"):
        backend.function([model.input], [model.output], updates=[1])


def test_placeholders(mixed):
    backend = mixed.backend
    x = backend.placeholder((None, 2))
    double = backend.function(x, 2 * x)
    assert double(np.ones((1, 2))).tolist() == [[2, 2]]
    assert backend.placeholder(ndim=3).shape == (None, None, None)


def test_the_learning_phase(mixed):
    backend = mixed.backend
    x = np.ones((64, 1), "float32")
    assert backend.in_train_phase(lambda: 1, 2) == 2 and backend.in_test_phase(1, lambda: 2) == 1
    assert backend.in_train_phase(1, 2, training=True) == 1

    class Phase(mixed.layers.Layer):
        def call(self, inputs):
            return inputs + backend.learning_phase()

    model = mixed.Sequential([Phase(), mixed.layers.Dropout(0.5)])
    backend.set_learning_phase(0)
    with backend.learning_phase_scope(0):
        assert backend.learning_phase() == 0
        assert (model.predict(x, verbose=0) == 1).all()
        trained = model(x, training=True)  # what a call says itself counts
    assert set(trained.flatten().tolist()) == {0.0, 4.0}
    with backend.learning_phase_scope(1):
        assert backend.learning_phase() == 1
        assert set(model(x).flatten().tolist()) == {0.0, 4.0}
        assert (model.predict(x, verbose=0) == 1).all()  # loops say it themselves
        assert (model(x, training=False) == 1).all()
    assert backend.learning_phase() == 0 and (model(x) == 1).all()
    with pytest.raises(ValueError, match="0 or 1"):
        backend.set_learning_phase(2)


def test_small_ones(mixed, capsys):
    backend = mixed.backend
    x = torch.arange(6.0).reshape(2, 3)
    result, mean, variance = backend.normalize_batch_in_training(
        x, torch.ones(3), torch.zeros(3), [0], epsilon=0.0
    )
    assert mean.tolist() == [1.5, 2.5, 3.5] and variance.tolist() == [2.25] * 3
    np.testing.assert_allclose(result, [[-1] * 3, [1] * 3], rtol=1e-6)
    assert backend.print_tensor(x, "x is") is x and "x is" in capsys.readouterr().out
    assert set(backend.random_binomial((100,), p=0.5).tolist()) == {0.0, 1.0}
    backend.reset_uids()
    assert backend.get_uid("dense") == 1
    assert isinstance(backend.eval(backend.variable([1.0])), np.ndarray)
