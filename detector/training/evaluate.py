"""The figures of a model on labelled pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from detector.detector import Detector
from detector.page import FLAGGED, KINDS, Page, PageError
from detector.training.data import DataError, LabelledPage, align, html_of
from detector.training.figures import kind_figures, score


def evaluate(pages: Sequence[LabelledPage], detector: Detector) -> dict[str, Any]:
    """Judge labelled pages as HTML, where they have it, and as bare text, and score what is flagged.

    Returns
    -------
    dict
        By input kind: {"pages": n, "figures": {name: {"hits", "total", "value"}}, "kinds": {kind: {"precision", ...}}}.

    Raises
    ------
    DataError
        A page's HTML cannot be unpacked or judged.
    """
    inputs = {
        "html": [(page, html_of(page)) for page in pages if page.html_file],
        "text": [(page, "\n\n".join(page.texts)) for page in pages],
    }
    return {kind: _evaluate(sources, detector, kind) for kind, sources in inputs.items() if sources}


def _evaluate(sources: Sequence[tuple[LabelledPage, str]], detector: Detector, kind: str) -> dict[str, Any]:
    judged = [_scan(labelled, source, detector, kind) for labelled, source in sources]
    pages = [page for page, _ in sources]
    flagged = {
        labelled.id: [(block.text, block.label) for block in page.blocks if block.label in FLAGGED]
        for labelled, page in zip(pages, judged, strict=True)
    }
    truth = [_truth(labelled, page) for labelled, page in zip(pages, judged, strict=True)]
    found = [[KINDS.index(block.kind) for block in page.blocks] for page in judged]
    return {
        "pages": len(pages),
        "figures": {name: asdict(figure) | {"value": figure.value} for name, figure in score(pages, flagged).items()},
        "kinds": {
            name: asdict(figures)
            for name, figures in kind_figures(np.concatenate(truth), np.concatenate(found)).items()
        },
    }


def _scan(labelled: LabelledPage, source: str, detector: Detector, kind: str) -> Page:
    try:
        return detector.scan(source, kind)
    except PageError as error:
        raise DataError(f"{labelled.place}: {error}") from error


def _truth(labelled: LabelledPage, page: Page) -> list[int]:
    labels = align([block.text for block in page.blocks], labelled.texts, labelled.labels)
    return [KINDS.index(label) if label in KINDS else -1 for label in labels]


def table(result: dict[str, Any]) -> str:
    """The figures for people to read."""
    lines = []
    for kind, figures in result.items():
        lines.append(f"input {kind}, {figures['pages']} pages")
        for name, figure in figures["figures"].items():
            lines.append(f"  {name:<16} {figure['value']:8.4f}   {figure['hits']} of {figure['total']}")
        lines.append(f"  {'kind':<12} {'precision':>9} {'recall':>9} {'F1':>9} {'blocks':>9}")
        for name, row in figures["kinds"].items():
            lines.append(
                f"  {name:<12} {row['precision']:9.4f} {row['recall']:9.4f} {row['f1']:9.4f} {row['support']:9d}"
            )
    return "\n".join(lines)
