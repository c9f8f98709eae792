"""Fitting both stages with scikit-learn, for the numpy code of `detector.classifier` to evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import block_diag
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from detector.classifier import Calibration, HashedLinear, Networks, log_odds
from detector.features import Float, Int, NgramSettings
from detector.page import FLAGGED, KINDS

_WEIGHT_LIMIT, _SQUARE_LIMIT = 127, 255
ASKS = [KINDS.index(label) for label in FLAGGED]
TEXT_NGRAMS = NgramSettings(bits=17, characters=(4,), words=(1, 2))
STRUCTURE_NGRAMS = NgramSettings(bits=15, characters=(), words=(1,))


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a model depends on beside its data."""

    seed: int = 0
    editorial_loss: float = 0.001
    folds: int = 5
    text: NgramSettings = TEXT_NGRAMS
    structure: NgramSettings = STRUCTURE_NGRAMS
    min_publishers: int = 2
    ask_weight: float = 3.0
    linear_alpha: float = 1e-6
    linear_epochs: int = 5
    networks: int = 4
    hidden: int = 32
    network_epochs: int = 8
    averaged_epochs: int = 4
    learning_rate: float = 2e-3
    batch: int = 1024
    input_dropout: float = 0.1


def fit_linear(
    parts: Sequence[sp.csr_matrix], ngrams: NgramSettings, kinds: Int, publishers: Int, settings: Settings
) -> HashedLinear:
    """Fit the first stage: one-against-all logistic regression on tf-idf of hashed n-grams.

    Parameters
    ----------
    parts : sequence of (n_blocks, 2 ** bits) sparse matrices
        Counts of n-grams; each part gets weights of its own, and unit length on its own.
    ngrams : NgramSettings
        What gave the columns.
    kinds : (n_blocks,) int
        Index of each block's kind.
    publishers : (n_blocks,) int
        Index of each block's publisher; n-grams of fewer than ``min_publishers`` of them get no weight.
    settings : Settings
    """
    frequency = sum(np.bincount(part.indices, minlength=part.shape[1]) for part in parts) / len(parts)
    squares = np.round((np.log((1 + len(kinds)) / (1 + frequency)) + 1) ** 2).clip(1, _SQUARE_LIMIT).astype(np.float32)
    enough = min(settings.min_publishers, len(np.unique(publishers)))
    kept = np.flatnonzero(_publisher_counts(parts, publishers) >= enough)
    scaled = sp.hstack([_scaled(part, squares)[:, kept] for part in parts], format="csr")
    model = SGDClassifier(
        loss="log_loss",
        alpha=settings.linear_alpha,
        max_iter=settings.linear_epochs,
        tol=None,
        average=True,
        random_state=settings.seed,
    )
    model.fit(scaled, kinds, sample_weight=np.where(np.isin(kinds, ASKS), settings.ask_weight, 1.0))
    weights, bias = _all_kinds(model)
    by_part = [weight * np.sqrt(squares[kept]) for weight in np.split(weights, len(parts), axis=1)]
    return _quantised(ngrams, np.concatenate(by_part), bias, kept, squares)


def _quantised(ngrams: NgramSettings, weights: Float, bias: Float, kept: Int, squares: Float) -> HashedLinear:
    """The (n_columns, n_kept) weights of the kept n-grams, and the squares of all, as whole numbers."""
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-12) / _WEIGHT_LIMIT
    table = np.zeros((len(squares), len(weights) + 1), np.int8)
    table[kept, :-1] = np.round(weights.T / scale)
    table[:, -1] = squares.astype(np.uint8).view(np.int8)
    return HashedLinear(ngrams, table, scale.astype(np.float32), bias)


def linear_scores(model: HashedLinear, parts: Sequence[sp.csr_matrix]) -> Float:
    """(n_blocks, n_kinds) what `detector.classifier` would score, from matrices of counts."""
    kinds = len(KINDS)
    weights = model.table[:, :-1] * model.scale
    squares = model.table[:, -1].view(np.uint8).astype(np.float32)
    scores = np.tile(model.bias, (parts[0].shape[0], 1))
    for number, part in enumerate(parts):
        norm = np.sqrt(np.maximum(part @ squares, 1e-12))
        scores += (part @ weights[:, number * kinds : (number + 1) * kinds]) / norm[:, None]
    return scores


def fit_networks(features: Float, kinds: Int, settings: Settings) -> Networks:
    """Fit the second stage: networks of one hidden layer, each on its own random order and dropped inputs.

    Each pass drops a tenth of the inputs at random (Vincent et al., "Extracting and composing robust features with
    denoising autoencoders", 2008), and the weights of the last passes are averaged (Izmailov et al., "Averaging
    weights leads to wider optima and better generalization", 2018).

    Parameters
    ----------
    features : (n_blocks, n_features) float32
    kinds : (n_blocks,) int
        Index of each block's kind.
    settings : Settings
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + np.float32(1e-3)
    scaled = (features - mean) / scale
    fitted = [_fit_network(scaled, kinds, settings, number) for number in range(settings.networks)]
    hidden, output, hidden_bias, output_bias = zip(*fitted, strict=True)
    weights = np.concatenate(hidden, axis=1) / scale[:, None]
    bias = np.concatenate(hidden_bias) - mean @ weights
    return Networks(
        weights.astype(np.float32),
        bias.astype(np.float32),
        block_diag(*output).astype(np.float32),
        np.concatenate(output_bias).astype(np.float32),
    )


def fit_calibration(probabilities: Float, kinds: Int) -> Calibration:
    """Fit the line through the log odds of scores, by logistic regression, from (n_blocks, n_kinds) probabilities of
    held-out blocks and their (n_blocks,) kinds; the scores as they are where those tell too little."""
    asks = np.isin(kinds, ASKS)
    if len(np.unique(asks)) < 2:
        return Calibration(1.0, 0.0)
    odds = log_odds(probabilities[:, ASKS].sum(axis=1, keepdims=True)).astype(np.float64)
    line = LogisticRegression(C=1e6).fit(odds, asks)
    slope, offset = float(line.coef_[0, 0]), float(line.intercept_[0])
    return Calibration(slope, offset) if slope > 0 else Calibration(1.0, 0.0)


def _fit_network(scaled: Float, kinds: Int, settings: Settings, number: int) -> list[NDArray[np.float64]]:
    """Hidden and output weights, hidden and output bias."""
    seed = settings.seed * 1000 + number
    random = np.random.default_rng(seed)
    model = MLPClassifier(
        (settings.hidden,),
        batch_size=min(settings.batch, len(kinds)),
        learning_rate_init=settings.learning_rate,
        random_state=seed,
    )
    total: list[NDArray[np.float64]] = []
    for epoch in range(settings.network_epochs):
        keep = random.random(scaled.shape, dtype=np.float32) >= settings.input_dropout
        model.partial_fit(scaled * keep, kinds, classes=np.arange(len(KINDS)))
        if epoch >= settings.network_epochs - settings.averaged_epochs:
            now = [array.astype(np.float64) for array in (*model.coefs_, *model.intercepts_)]
            total = [before + array for before, array in zip(total, now, strict=True)] if total else now
    return [array / settings.averaged_epochs for array in total]


def _scaled(counts: sp.csr_matrix, squares: Float) -> sp.csr_matrix:
    norm = np.sqrt(np.maximum(counts @ squares, 1e-12))
    return sp.diags_array(1 / norm).astype(np.float32) @ counts @ sp.diags_array(np.sqrt(squares))


def _publisher_counts(parts: Sequence[sp.csr_matrix], publishers: Int) -> Int:
    """(2 ** bits,) how many publishers have each n-gram in any part."""
    groups, index = np.unique(publishers, return_inverse=True)
    member = sp.csr_matrix((np.ones(len(index), np.float32), (index, np.arange(len(index)))))
    seen = sp.csr_matrix((len(groups), parts[0].shape[1]), dtype=np.float32)
    for part in parts:
        seen = seen + member @ part
    return np.bincount(seen.indices, minlength=parts[0].shape[1])


def _all_kinds(model: SGDClassifier) -> tuple[Float, Float]:
    """(n_kinds, n_columns) weights and (n_kinds,) bias; a kind that the data lacks is never likely."""
    weights = np.zeros((len(KINDS), model.coef_.shape[1]), np.float32)
    bias = np.full(len(KINDS), -10, np.float32)
    if len(model.classes_) == 2:  # scikit-learn keeps one of two
        model.coef_, model.intercept_ = (
            np.vstack((-model.coef_, model.coef_)),
            np.hstack((-model.intercept_, model.intercept_)),
        )
    weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return weights, bias
