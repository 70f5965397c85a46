"""Keras models as scikit-learn estimators: they pass through its pipelines, searches and checks.

Letters: N samples, D features, C classes, O outputs.
Source: `keras.wrappers` (names, arguments); scikit-learn's developer guide (the protocol).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from ..models import Model, clone_model
from ..naming import explain

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Columns(TransformerMixin, BaseEstimator):
    """Makes targets `(N,)` a column, for encoders that take nothing else, and back."""

    def fit(self, y: np.ndarray) -> _Columns:
        self.ndim_ = y.ndim
        return self

    def transform(self, y: np.ndarray) -> np.ndarray:
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def inverse_transform(self, y: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        return y.squeeze(1) if self.ndim_ == 1 and y.ndim == 2 else y


class _Estimator(BaseEstimator):
    """What the three estimators share.

    Args:
        model: A compiled model, which is cloned before each fit; or a function that makes one,
            called as `model(X=X, y=y, **model_kwargs)` with the targets as the loss gets them.
        warm_start: Go on with the weights of the last fit; a model given as such is not cloned.
        model_kwargs: For the function.
        fit_kwargs: For `Model.fit`, such as `{"epochs": 10}`; `predict` is as verbose.

    Attributes:
        model_: The fitted model.
        history_: What its `fit` returned.
    """

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> _Estimator:
        parameters = self.get_params(deep=False)
        # scikit-learn would copy a model part by part; `fit` clones it anyway, unless started warm.
        model = parameters.pop("model")
        if self.warm_start and isinstance(model, Model):
            model = copy.deepcopy(model)
        return type(self)(model, **copy.deepcopy(parameters))

    @property
    def epoch_(self) -> int:
        """How many epochs the last fit took."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def set_fit_request(self, **kwargs: bool | None | str) -> _Estimator:
        """Say which metadata `fit` takes in a pipeline, by scikit-learn's metadata routing.

        Args:
            kwargs: From a parameter of `fit` to `True`, `False`, `None` or an alias.

        Raises:
            RuntimeError: Metadata routing is not enabled.
        """
        if not get_config().get("enable_metadata_routing", False):
            raise RuntimeError(
                "This method is only available when metadata routing is enabled. Fix: call"
                " `sklearn.set_config(enable_metadata_routing=True)`."
            )
        self._metadata_request = MetadataRequest(owner=type(self).__name__)
        for parameter, alias in kwargs.items():
            self._metadata_request.fit.add_request(param=parameter, alias=alias)
        return self

    def fit(self, X: Any, y: Any, **kwargs: Any) -> _Estimator:
        """Train.

        Args:
            X: Samples `(N, D)`.
            y: Targets `(N,)` or `(N, O)`.
            kwargs: For `Model.fit`, over those of `fit_kwargs`.

        Raises:
            RuntimeError: The model is not compiled with a loss and an optimizer.
        """
        X, y = validate_data(self, X, y)
        y = self._encode(y, fit=True)
        model = self._model_for(X, y)
        if not (model.compiled and model.loss and model.optimizer):
            raise RuntimeError(
                explain(
                    f"{type(self).__name__}: Given model needs to be compiled, and have a loss and"
                    " an optimizer.",
                    model=model.name,
                    fix="call `model.compile(optimizer, loss)` before you hand it over.",
                )
            )
        self.history_ = model.fit(X, y, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _model_for(self, X: np.ndarray, y: np.ndarray) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            return self.model if self.warm_start else clone_model(self.model)
        return self.model(X=X, y=y, **(self.model_kwargs or {}))

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions for samples `(N, D)`, in the form of the targets."""
        outputs = self._outputs(X)
        return self._target_encoder.inverse_transform(outputs)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        verbose = (self.fit_kwargs or {}).get("verbose", "auto")
        return self.model_.predict(validate_data(self, X, reset=False), verbose=verbose)

    def _encode(self, y: np.ndarray, fit: bool = False) -> np.ndarray:
        """Turn targets into what the loss gets."""
        _kind_of(y)
        if fit:
            self._target_encoder = _Columns().fit(y)
        return self._target_encoder.transform(y)


def _kind_of(y: np.ndarray) -> str:
    """Return scikit-learn's word for the kind of targets, which must be one it knows."""
    kind = type_of_target(y)
    if kind == "unknown":
        raise ValueError(f"Unknown label type for data: {y!r}")
    return kind


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A Keras model as a scikit-learn classifier; the model's outputs are `(N, C)`.

    Args:
        model: A compiled model, which is cloned before each fit; or a function that makes one,
            called as `model(X=X, y=y, **model_kwargs)` with one-hot `y` of shape `(N, C)`.
        warm_start: Go on with the weights of the last fit; a model given as such is not cloned.
        model_kwargs: For the function.
        fit_kwargs: For `Model.fit`, such as `{"epochs": 10}`; `predict` is as verbose.

    Attributes:
        model_: The fitted model.
        history_: What its `fit` returned.
        classes_: The labels `(C,)`, in the order of the outputs.

    Raises:
        ValueError: In `fit`: targets that are no classes, or of one class only.

    Example:
        >>> from torchkeras import Sequential, layers
        >>> def build(X, y):
        ...     model = Sequential([layers.Dense(y.shape[1], activation="softmax")])
        ...     model.compile("adam", "categorical_crossentropy")
        ...     return model
        >>> X, y = np.eye(4), np.array(["a", "b", "a", "b"])
        >>> classifier = SKLearnClassifier(build, fit_kwargs={"verbose": 0}).fit(X, y)
        >>> classifier.classes_.tolist(), classifier.predict(X).shape
        (['a', 'b'], (4,))
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of the largest output for samples `(N, D)`."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(-1)]

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the model's outputs `(N, C)` for samples `(N, D)`."""
        return self._outputs(X)

    def _encode(self, y: np.ndarray, fit: bool = False) -> np.ndarray:
        kind = _kind_of(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Only binary and multiclass target types are supported. Target type: {kind}"
            )
        if fit:
            self.classes_ = np.unique(y)
            if len(self.classes_) == 1:
                raise ValueError("Classifier can't train when only one class is present.")
            columns_to_one_hot = make_pipeline(_Columns(), OneHotEncoder(sparse_output=False))
            self._target_encoder = columns_to_one_hot.fit(y)
        return self._target_encoder.transform(y)


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A Keras model as a scikit-learn regressor; the model's outputs are `(N, O)`.

    Args:
        model: A compiled model, which is cloned before each fit; or a function that makes one,
            called as `model(X=X, y=y, **model_kwargs)` with `y` of shape `(N, O)`.
        warm_start: Go on with the weights of the last fit; a model given as such is not cloned.
        model_kwargs: For the function.
        fit_kwargs: For `Model.fit`, such as `{"epochs": 10}`; `predict` is as verbose.

    Attributes:
        model_: The fitted model.
        history_: What its `fit` returned.

    Example:
        >>> from torchkeras import Sequential, layers
        >>> model = Sequential([layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> X, y = np.eye(4), np.arange(4.0)
        >>> SKLearnRegressor(model, fit_kwargs={"verbose": 0}).fit(X, y).predict(X).shape
        (4,)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A Keras model as a scikit-learn transformer: a step whose outputs are the next one's inputs.

    Args:
        model: A compiled model, which is cloned before each fit; or a function that makes one,
            called as `model(X=X, y=y, **model_kwargs)`.
        warm_start: Go on with the weights of the last fit; a model given as such is not cloned.
        model_kwargs: For the function.
        fit_kwargs: For `Model.fit`, such as `{"epochs": 10}`; `predict` is as verbose.

    Attributes:
        model_: The fitted model.
        history_: What its `fit` returned.

    Example:
        >>> from torchkeras import Sequential, layers
        >>> model = Sequential([layers.Dense(2)])
        >>> model.compile("sgd", "mse")
        >>> X, y = np.eye(4), np.arange(4.0)
        >>> SKLearnTransformer(model, fit_kwargs={"verbose": 0}).fit_transform(X, y).shape
        (4, 2)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X: Any) -> np.ndarray:
        """Return the model's outputs for samples `(N, D)`."""
        return self._outputs(X)
