"""Labelled pages with the detector of their fold, as `folds.py` wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector import Detector
from detector.training.data import LabelledPage, read_pages


def held_out(folds: Path, data: Path) -> Iterator[tuple[list[LabelledPage], Detector]]:
    """For each fold, its pages of a labelled folder and a detector that has not seen their publishers."""
    pages = read_pages([data])
    for model in sorted(folds.glob("fold-*.safetensors")):
        ids = set(model.with_suffix(".txt").read_text().split())
        yield [page for page in pages if page.id in ids], Detector(model)
