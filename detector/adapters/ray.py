"""Ray: a class for ``ray.data.Dataset.map_batches``. Needs the ``ray`` extra."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from detector.adapters.cleaning import Cleaner
from detector.page import FLAGGED, PageError

_NAMES = ("url", "id", "path")
"""The columns that a page may be named by in the log; the first that is there is taken."""

_ADDED = {
    "removed_labels": pa.list_(pa.string()),
    "removed_scores": pa.list_(pa.float64()),
    "removed_words": pa.int64(),
}

_log = logging.getLogger(__name__)


class DetectorBatches:
    """Cleans a column of pages, and adds columns that tell what was taken out.

    For batches in the formats "pyarrow" and "numpy"::

        dataset.map_batches(
            DetectorBatches,
            fn_constructor_kwargs={"column": "text"},
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=8),
        )

    ``removed_labels`` and ``removed_scores`` are lists with an entry for each block that was taken out,
    ``removed_words`` is the number of their words. A page that cannot be judged stays as it was, the three are null,
    and it is logged; ``cleaned.filter(expr=col("removed_words").is_null()).count()``, with ``col`` of
    ``ray.data.expressions``, counts them. Pages that are bytes are handed back as UTF-8.

    Parameters
    ----------
    column : str
        The column with the pages, HTML or plain text, str or bytes.
    to, drop, input
        As for `Detector.clean`.
    model, threshold
        As for `Detector`. The model is read once in each actor.

    Raises
    ------
    ValueError
        A name in ``drop`` is unknown, ``to`` is neither "text" nor "html", or a batch has no such column.
    """

    def __init__(
        self,
        column: str = "text",
        to: str = "text",
        drop: Collection[str] = FLAGGED,
        input: str | None = None,
        model: str | Path | None = None,
        threshold: float | None = None,
    ) -> None:
        self.column = column
        self.cleaner = Cleaner(to, drop, input, model, threshold)

    def __call__(self, batch: Any) -> Any:
        """The batch with the column cleaned and the others added."""
        names = list(batch) if isinstance(batch, dict) else batch.column_names
        if self.column not in names:
            raise ValueError(f"no column {self.column!r} among {', '.join(names)}: name the one that has the pages")
        named_by = next((name for name in _NAMES if name in names), self.column)
        pages = zip(_values(batch, self.column), _values(batch, named_by), strict=True)
        rows = [self._clean(page, name) for page, name in pages]
        cleaned, *removed = zip(*rows, strict=True) if rows else ((),) * 4
        added = {name: pa.array(values, kind) for (name, kind), values in zip(_ADDED.items(), removed, strict=True)}
        if isinstance(batch, dict):
            return batch | {self.column: _objects(cleaned)} | added
        place = names.index(self.column)
        batch = batch.set_column(place, batch.schema.field(place), pa.array(cleaned, batch.schema.field(place).type))
        for name, values in added.items():
            batch = batch.append_column(name, values)
        return batch

    def _clean(self, page: Any, name: object) -> tuple[Any, list[str] | None, list[float] | None, int | None]:
        """What is left of the page, and the values of the columns that are added."""
        try:
            cleaned = self.cleaner.clean(page)
        except PageError as error:
            _log.warning("%.200s: %s", name, error)
            return page, None, None, None
        if cleaned.left_whole:
            _log.warning("%.200s: %s", name, cleaned.left_whole)
        text = cleaned.text.encode() if isinstance(page, bytes) else cleaned.text
        labels, scores = [block.label for block in cleaned.removed], [block.score for block in cleaned.removed]
        return text, labels, scores, sum(len(block.text.split()) for block in cleaned.removed)


def _values(batch: Any, column: str) -> Any:
    return batch[column] if isinstance(batch, dict) else batch[column].to_pylist()


def _objects(values: Collection[Any]) -> np.ndarray[Any, Any]:
    """The values as they are; numpy would make a fixed width of the longest for all."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
