"""How good a detector's labels are: the figures by which models are chosen, gated and published.

Labelled and found blocks are compared by their words (see `detector.training.words`), so any segmentation can be
scored. Blocks labelled unclear are left out everywhere.

recall long      share of donation and paywall blocks of 5 words or more that are flagged
recall short     the same for shorter ones (menu items, buttons, amounts)
precision        share of flagged words that lie in donation or paywall blocks (words of unclear blocks left out)
editorial loss   share of the words of editorial and comment blocks that are flagged
pages clean      share of pages with a long donation or paywall block on which every one of them is flagged
pages harmed     share of pages with editorial text that lose any editorial block of 5 words or more
class            share of flagged labelled blocks whose flag names the right one of the two
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detector.features import Int
from detector.page import FLAGGED, KINDS
from detector.training.data import UNCLEAR, LabelledPage
from detector.training.words import LONG, Passages, words

NAMES = (
    "recall long",
    "recall short",
    "precision",
    "editorial loss",
    "pages clean",
    "pages harmed",
    "class",
    *(f"{label} {size}" for label in FLAGGED for size in ("long", "short")),
)
"""The figures in the order in which they are shown; those of a language ("en long") come after."""

_PROSE = ("editorial", "comment")


@dataclass(frozen=True, slots=True)
class Figure:
    """A share: ``hits`` of ``total``."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """``hits / total``, or nan where there is nothing to count."""
        return self.hits / self.total if self.total else float("nan")


def score(pages: Iterable[LabelledPage], flagged: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Figure]:
    """The figures of flagged blocks on labelled pages.

    Parameters
    ----------
    pages : iterable of LabelledPage
    flagged : mapping of page id to [(text, "donation" or "paywall"), ...]
        What the detector flagged; a page that is missing counts as nothing flagged.

    Returns
    -------
    dict of str to Figure
        By name: those of ``NAMES``, then "LANG long" and "LANG short" by language.
    """
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for page in pages:
        for name, hit, total in _page_counts(page, flagged.get(page.id, ())):
            hits[name] += hit
            totals[name] += total
    languages = sorted(totals.keys() - set(NAMES))
    return {name: Figure(hits[name], totals[name]) for name in (*NAMES, *languages)}


def _page_counts(page: LabelledPage, flagged: Sequence[tuple[str, str]]) -> Iterable[tuple[str, int, int]]:
    """(name, hits, total) of each thing that the page adds to a figure."""
    found = Passages(text for text, _ in flagged)
    by_label = {label: Passages(text for text, own in flagged if own == label) for label in FLAGGED}
    asks = missed = prose = harmed = 0
    for text, label in zip(page.texts, page.labels, strict=True):
        tokens = words(text)
        if not tokens or label == UNCLEAR:
            continue
        hit = found.hold(tokens)
        is_long = len(tokens) >= LONG
        if label in FLAGGED:
            size = "long" if is_long else "short"
            for name in (f"recall {size}", f"{label} {size}", f"{page.lang} {size}"):
                yield name, hit, 1
            if hit:
                yield "class", by_label[label].hold(tokens), 1
            asks += is_long
            missed += is_long and not hit
        elif label in _PROSE:
            yield "editorial loss", len(tokens) * (hit and is_long), len(tokens)
            prose += is_long
            harmed += hit and is_long
    yield from _precision(page, flagged)
    yield "pages clean", asks > 0 and not missed, asks > 0
    yield "pages harmed", harmed > 0, prose > 0


def _precision(page: LabelledPage, flagged: Sequence[tuple[str, str]]) -> Iterable[tuple[str, int, int]]:
    labelled = list(zip(page.texts, page.labels, strict=True))
    right = Passages(text for text, label in labelled if label in FLAGGED)
    unclear = Passages(text for text, label in labelled if label == UNCLEAR)
    for text, _ in flagged:
        tokens = words(text)
        if not tokens:
            continue
        is_right = right.hold(tokens)
        if is_right or not unclear.hold(tokens):
            yield "precision", len(tokens) * is_right, len(tokens)


@dataclass(frozen=True, slots=True)
class KindFigures:
    """Precision, recall and F1 of one kind over blocks, and how many blocks are of it (``support``)."""

    precision: float
    recall: float
    f1: float
    support: int


def kind_figures(truth: Int, predicted: Int) -> dict[str, KindFigures]:
    """Figures of each kind; ``truth`` and ``predicted`` are (n_blocks,) indices into ``KINDS``, -1 for unclear."""
    known = truth >= 0
    table = np.zeros((len(KINDS), len(KINDS)), np.int64)
    np.add.at(table, (truth[known], predicted[known]), 1)
    right, support, found = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    figures = {}
    for index, kind in enumerate(KINDS):
        precision = float(right[index] / found[index]) if found[index] else 0.0
        recall = float(right[index] / support[index]) if support[index] else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        figures[kind] = KindFigures(precision, recall, f1, int(support[index]))
    return figures
