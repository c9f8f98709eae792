"""Arrays -> scores, in two stages, evaluated with numpy alone.

The first stage judges each block by itself: hashed n-grams of its text, and on HTML of the elements around it, weighed
by linear models of the nine kinds. The second stage judges the block among its neighbours: small networks over the
first stage's scores of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector import native
from detector.context import html_context, text_context
from detector.features import Batch, Float, NgramSettings, ngram_sums
from detector.page import FLAGGED, KINDS
from detector.segment import Int32, Segmented, Structure

ANCESTORS = 8
"""How many elements above a block's own are seen by the first stage."""

ANCESTOR_WEIGHT = 0.8
"""What an ancestor counts beside the element below it."""

INSIDE = 8
"""How many of the elements inside a block are seen by the first stage."""

EXCERPT_BLOCKS = 60
"""Bare text of fewer blocks is taken for what an extractor left of a page: asks are a larger part of it."""

STRUCTURE_PARTS = 3
"""A block's own element, its ancestors and the elements inside it have weights of their own."""

ASKS = np.array([kind in FLAGGED for kind in KINDS])
"""(n_kinds,) which kinds a score is the probability of."""

_LEAST = np.float32(1e-6)
_LOGIT_LIMIT = 40.0  # far beyond any; keeps the exponentials within float32

PLACE_PART = np.repeat(np.arange(STRUCTURE_PARTS, dtype=np.int32), (1, ANCESTORS, INSIDE))
PLACE_WEIGHT = np.array([1, *(ANCESTOR_WEIGHT**level for level in range(ANCESTORS)), *[1] * INSIDE], np.float32)


@dataclass(frozen=True, slots=True)
class HashedLinear:
    """Linear models over hashed n-grams.

    ``table`` : (2 ** bits, n_parts * n_kinds + 1) int8; the weights of each n-gram, times its inverse document
    frequency, as whole numbers of ``scale``; and last, unsigned, the square of that frequency. Sums over a text's
    n-grams are whole numbers too, so that they are the same in any order.
    ``scale`` : (n_parts * n_kinds,) float32.  ``bias`` : (n_kinds,) float32.
    """

    settings: NgramSettings
    table: NDArray[np.int8]
    scale: Float
    bias: Float


@dataclass(frozen=True, slots=True)
class Networks:
    """Some networks with one hidden layer each (rectified linear), whose probabilities are averaged.

    The networks stand side by side, so that one product serves all: ``hidden``, (n_features, n_networks * n_hidden),
    and ``output``, (n_networks * n_hidden, n_networks * n_kinds), zero from one network to another; ``hidden_bias``,
    (n_networks * n_hidden,), ``output_bias``, (n_networks * n_kinds,). All are float32; the scaling of the features is
    in the weights.
    """

    hidden: Float
    hidden_bias: Float
    output: Float
    output_bias: Float

    def probabilities(self, features: Float) -> Float:
        """(n_blocks, n_kinds) the probability of each kind, for (n_blocks, n_features) features."""
        hidden = features @ self.hidden
        hidden += self.hidden_bias
        np.maximum(hidden, 0, out=hidden)
        odds = hidden @ self.output
        odds += self.output_bias
        np.clip(odds, -_LOGIT_LIMIT, _LOGIT_LIMIT, out=odds)
        np.exp(odds, out=odds)
        by_network = odds.reshape(len(odds), odds.shape[1] // len(KINDS), len(KINDS))
        by_network *= (1 / by_network.sum(axis=2))[:, :, None]
        return np.asarray(by_network.mean(axis=1))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Makes of a score the probability that it is on pages as they are scraped: a line through its log odds.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    slope: float
    offset: float

    def apply(self, probabilities: Float) -> Float:
        """(n_blocks, n_kinds) with asks as likely as they should be; asks among themselves keep their shares, and so do
        the others."""
        score = ask_scores(probabilities)
        odds = np.exp(np.float32(self.slope) * log_odds(score) + np.float32(self.offset))
        wanted = odds / (1 + odds)
        calibrated: Float = probabilities * ((1 - wanted) / np.maximum(1 - score, _LEAST))[:, None]
        calibrated[:, ASKS] = probabilities[:, ASKS] * (wanted / np.maximum(score, _LEAST))[:, None]
        return calibrated


def ask_scores(probabilities: Float) -> Float:
    """(n_blocks,) the probability that a block is donation or paywall."""
    scores: Float = probabilities @ ASKS.astype(np.float32)
    return scores


def log_odds(probabilities: Float) -> Float:
    """The log odds, of probabilities that are kept from zero and one."""
    kept = np.clip(probabilities, _LEAST, 1 - _LEAST)
    odds: Float = np.log(kept / (1 - kept))
    return odds


def text_scores(model: HashedLinear, batch: Batch) -> Float:
    """First-stage scores of texts, (n_texts, n_kinds): log odds of each kind."""
    sums = ngram_sums(model.table, batch, model.settings).astype(np.float32)
    return sums[:, :-1] * model.scale / _norm(sums[:, -1]) + model.bias


def structure_scores(model: HashedLinear, structure: Structure) -> Float:
    """First-stage scores of the elements around each block, (n_blocks, n_kinds): log odds of each kind."""
    around = elements_around(structure)
    sums = ngram_sums(model.table, Batch.of(structure.signatures), model.settings)
    if native.LIBRARY is not None:
        return native.structure_scores(
            native.LIBRARY, around, PLACE_PART, PLACE_WEIGHT, sums, STRUCTURE_PARTS, model.scale, model.bias
        )
    kinds = len(model.bias)
    scores = np.broadcast_to(model.bias, (len(around), kinds))
    for part in range(STRUCTURE_PARTS):
        columns = np.r_[part * kinds : (part + 1) * kinds, STRUCTURE_PARTS * kinds]
        index = around[:, part == PLACE_PART]
        weight = np.where(index >= 0, PLACE_WEIGHT[part == PLACE_PART], 0)
        total = np.einsum("bew,be->bw", sums[:, columns].astype(np.float32)[index], weight)
        scores = scores + total[:, :-1] * model.scale[part * kinds : (part + 1) * kinds] / _norm(total[:, -1])
    return scores


def elements_around(structure: Structure) -> Int32:
    """Which elements the first stage sees of each block: its own, those above it, those inside it.

    Returns
    -------
    (n_blocks, len(PLACE_PART)) int32
        Index into the structure's signatures; -1 where there is none. What each column is, and what it counts, stands
        in PLACE_PART and PLACE_WEIGHT.
    """
    if native.LIBRARY is not None:
        arrays = (structure.parent, structure.signature, structure.element, structure.inside)
        return native.elements_around(native.LIBRARY, *arrays, ANCESTORS, INSIDE)
    columns = [structure.signature[structure.element]]
    ancestor = structure.element
    for _ in range(ANCESTORS):
        ancestor = np.maximum(structure.parent[ancestor], 0)
        columns.append(np.where(ancestor > 0, structure.signature[ancestor], -1))  # the root tells nothing
    first, last = structure.inside.T
    for number in range(INSIDE):
        there = first + number < last
        columns.append(np.where(there, structure.signature[np.where(there, first + number, 0)], -1))
    return np.stack(columns, axis=1)


def _norm(squares: Float) -> Float:
    return np.sqrt(np.maximum(squares, 1e-12))[:, None]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Both stages.

    ``second`` and ``calibration`` hold the second stage by the kind of input: "html", "text" (the bare text of a whole
    page) and "excerpt" (bare text of fewer than ``EXCERPT_BLOCKS`` blocks, as extractors leave it). A classifier that
    was fitted on excerpts alone has neither ``structure`` nor the other two, and judges all input by its text.
    """

    text: HashedLinear
    structure: HashedLinear | None
    second: Mapping[str, Networks]
    calibration: Mapping[str, Calibration]

    def kind_of(self, page: Segmented) -> str:
        """The kind of input that a page is judged as."""
        if page.structure is not None and "html" in self.second:
            return "html"
        return "text" if "text" in self.second and len(page.texts) >= EXCERPT_BLOCKS else "excerpt"

    def probabilities(self, page: Segmented) -> Float:
        """(n_blocks, n_kinds) the probability of each kind for each block of a page with at least one block."""
        batch = Batch.of(page.texts)
        scores = text_scores(self.text, batch)
        kind = self.kind_of(page)
        if kind == "html" and page.structure is not None and self.structure is not None:
            around = structure_scores(self.structure, page.structure)
            seen = html_context(batch, scores, page.structure, around)
        else:
            seen = text_context(batch, scores)
        return self.calibration[kind].apply(self.second[kind].probabilities(seen))
