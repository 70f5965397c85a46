"""What the scripts that train in jobs have in common: named cases, and what is compared of them."""

import numpy as np

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def outcome(model, history, *more):
    """All there is to compare: results by epoch, weights, and what else was computed."""
    return {
        **history.history,
        "weights": [weight.ravel()[:60].tolist() for weight in model.get_weights()],
        "more": [np.asarray(item, dtype="float64").tolist() for item in more],
    }
