"""datatrove: a pipeline step that cleans documents. Needs the ``datatrove`` extra, its base install."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger
from datatrove.utils.typeshelper import StatHints

from detector.adapters.cleaning import Cleaner
from detector.page import FLAGGED, Block, PageError


class DetectorStep(PipelineStep):
    """Cleans ``doc.text`` and keeps what it took out in ``doc.metadata["removed"]``.

    That is a list of dictionaries with ``label`` and ``score``, and ``start`` and ``end``, character offsets into the
    text as it was (where it was HTML, ``xpath``). A document that cannot be judged is logged and passes as it was,
    without the list.

    Counted by ``stat_update``: ``total``, ``flagged_donation`` and ``flagged_paywall`` (blocks), ``kept_whole``
    (documents of which more was flagged than is credible, so that nothing was taken), ``failed``.

    Parameters
    ----------
    to, drop, input
        As for `Detector.clean`. ``to="html"`` cleans pages in front of an extractor.
    model, threshold
        As for `Detector`. The model is read in each process of the executor, when its first document comes.

    Raises
    ------
    ValueError
        A name in ``drop`` is unknown, or ``to`` is neither "text" nor "html".
    """

    name = "paywall-detector"
    type = "✂️ - FORMAT"

    def __init__(
        self,
        to: str = "text",
        drop: Collection[str] = FLAGGED,
        input: str | None = None,
        model: str | Path | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.cleaner = Cleaner(to, drop, input, model, threshold)

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield every document, cleaned; called by datatrove."""
        for doc in data:
            self.stat_update(StatHints.total)
            with self.track_time():
                try:
                    self._clean(doc)
                except PageError as error:
                    self.stat_update("failed")
                    logger.warning(f"{doc.id}: {error}")
            self.update_doc_stats(doc)
            yield doc

    def _clean(self, doc: Document) -> None:
        cleaned = self.cleaner.clean(doc.text)
        doc.text = cleaned.text
        doc.metadata["removed"] = [_span(block) for block in cleaned.removed]
        for block in cleaned.page.blocks:
            if block.label in FLAGGED:
                self.stat_update(f"flagged_{block.label}")
        if cleaned.left_whole:
            self.stat_update("kept_whole")
            logger.warning(f"{doc.id}: {cleaned.left_whole}")


def _span(block: Block) -> dict[str, str | float | None]:
    place = {"start": block.start, "end": block.end} if block.xpath is None else {"xpath": block.xpath}
    return {**place, "label": block.label, "score": block.score}
