"""Arrays -> scores, in two stages, evaluated with numpy alone.

The first stage judges each block by itself: hashed n-grams of its text, and on HTML of the elements around it, weighed
by linear models of the nine kinds. The second stage judges the block among its neighbours: small networks over the
first stage's scores of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detector.context import html_context, text_context
from detector.features import Float, Int, NgramSettings, hash_ngrams
from detector.segment import Segmented, Structure

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


@dataclass(frozen=True, slots=True)
class HashedLinear:
    """Linear models over hashed n-grams.

    ``table`` : (2 ** bits, n_parts * n_kinds + 1) float32; the weights of each n-gram, times its inverse document
    frequency, and last the square of that frequency.
    ``bias`` : (n_kinds,) float32.
    """

    settings: NgramSettings
    table: Float
    bias: Float


@dataclass(frozen=True, slots=True)
class Networks:
    """Some networks with one hidden layer each (rectified linear), whose probabilities are averaged.

    ``hidden`` : (n_features, n_networks * n_hidden), the networks side by side, so that one product serves all.
    ``hidden_bias`` : (n_networks * n_hidden,).  ``output`` : (n_networks, n_hidden, n_kinds).
    ``output_bias`` : (n_networks, 1, n_kinds).  All float32; the scaling of the features is in the weights.
    """

    hidden: Float
    hidden_bias: Float
    output: Float
    output_bias: Float

    def probabilities(self, features: Float) -> Float:
        """(n_blocks, n_kinds) the probability of each kind, for (n_blocks, n_features) features."""
        count, width, _ = self.output.shape
        hidden = np.maximum(features @ self.hidden + self.hidden_bias, 0)
        odds = hidden.reshape(-1, count, width).transpose(1, 0, 2) @ self.output + self.output_bias
        odds = np.exp(odds - odds.max(axis=2, keepdims=True))
        return np.asarray((odds / odds.sum(axis=2, keepdims=True)).mean(axis=0))


def text_scores(model: HashedLinear, texts: list[str]) -> Float:
    """First-stage scores of texts, (n_texts, n_kinds): log odds of each kind."""
    sums = _ngram_sums(model, texts)
    return sums[:, :-1] / _norm(sums[:, -1]) + model.bias


def structure_scores(model: HashedLinear, structure: Structure) -> Float:
    """First-stage scores of the elements around each block, (n_blocks, n_kinds): log odds of each kind."""
    signatures, parts = element_parts(structure)
    sums = _ngram_sums(model, signatures)
    kinds = len(model.bias)
    scores = np.broadcast_to(model.bias, (len(structure.element), kinds))
    for part, (index, weight) in enumerate(parts):
        columns = np.r_[part * kinds : (part + 1) * kinds, STRUCTURE_PARTS * kinds]
        total = np.einsum("bew,be->bw", sums[:, columns][index], weight)
        scores = scores + total[:, :-1] / _norm(total[:, -1])
    return scores


def element_parts(structure: Structure) -> tuple[list[str], list[tuple[Int, Float]]]:
    """The page's distinct element signatures, and which of them stand around each block.

    Returns
    -------
    signatures : list of str
    parts : for a block's own element, its ancestors, the elements inside it: (index, weight)
        ``index`` : (n_blocks, n) into the signatures; ``weight`` : (n_blocks, n) float32, zero where there is none.
    """
    parent, element = np.array(structure.parent), np.array(structure.element)
    above, above_weight = [], []
    ancestor, weight = element, 1.0
    for _ in range(ANCESTORS):
        ancestor = np.maximum(parent[ancestor], 0)
        above.append(ancestor)
        above_weight.append(np.where(ancestor > 0, weight, 0))  # the root tells nothing
        weight *= ANCESTOR_WEIGHT
    first, last = np.array(structure.inside).T
    inside = first[:, None] + np.arange(INSIDE)
    there = inside < last[:, None]
    parts = [
        (element[:, None], np.ones((len(element), 1), np.float32)),
        (np.stack(above, axis=1), np.stack(above_weight, axis=1).astype(np.float32)),
        (np.where(there, inside, 0), there.astype(np.float32)),
    ]
    around = np.zeros(len(parent), np.bool_)
    for index, _ in parts:
        around[index] = True
    places: dict[str, int] = {}
    signature = np.zeros(len(parent), np.int64)
    for one in np.flatnonzero(around).tolist():
        signature[one] = places.setdefault(structure.signature[one], len(places))
    return list(places), [(signature[index], weight) for index, weight in parts]


def _ngram_sums(model: HashedLinear, texts: list[str]) -> Float:
    """(n_texts, columns of the table) the sum of the table's rows over each text's n-grams."""
    sums = np.zeros((len(texts), model.table.shape[1]), np.float32)
    for ngrams in hash_ngrams(texts, model.settings):
        some = np.flatnonzero(np.diff(ngrams.starts))
        if len(some):
            sums[some] += np.add.reduceat(model.table.take(ngrams.columns, axis=0), ngrams.starts[some], axis=0)
    return sums


def _norm(squares: Float) -> Float:
    return np.sqrt(np.maximum(squares, 1e-12))[:, None]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Both stages.

    ``second`` holds the second stage by the kind of input: "html", "text" (the bare text of a whole page) and
    "excerpt" (bare text of fewer than ``EXCERPT_BLOCKS`` blocks, as extractors leave it). A classifier that was fitted
    on excerpts alone has neither ``structure`` nor the other two, and judges all input by its text.
    """

    text: HashedLinear
    structure: HashedLinear | None
    second: Mapping[str, Networks]

    def kind_of(self, page: Segmented) -> str:
        """The kind of input that a page is judged as."""
        if page.structure is not None and "html" in self.second:
            return "html"
        return "text" if "text" in self.second and len(page.texts) >= EXCERPT_BLOCKS else "excerpt"

    def probabilities(self, page: Segmented) -> Float:
        """(n_blocks, n_kinds) the probability of each kind for each block of a page with at least one block."""
        scores = text_scores(self.text, page.texts)
        kind = self.kind_of(page)
        if kind == "html" and page.structure is not None and self.structure is not None:
            around = structure_scores(self.structure, page.structure)
            return self.second[kind].probabilities(html_context(page.texts, scores, page.structure, around))
        return self.second[kind].probabilities(text_context(page.texts, scores))
