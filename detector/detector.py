"""`Detector`: the one class that most users need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from detector.classifier import ASKS, ask_scores
from detector.features import Float
from detector.model import Model, read_model, shipped_model
from detector.page import FLAGGED, KINDS, LABEL_OF_KIND, Block, Page, PageError, blocks_of
from detector.segment import Segmented, read, segment, sniff_kind


class Detector:
    """Judges every paragraph of a page: editorial, donation, paywall or other.

    Parameters
    ----------
    model : path, optional
        A saved model; the one that comes with the package unless given. It is read once.
    threshold : float, optional
        The score from which on a block is flagged, 0 to 1; the model's own, which was chosen for a small loss of
        editorial words, unless given. A lower one flags more.

    Raises
    ------
    ModelError
        The model cannot be read.
    ValueError
        The threshold is not between 0 and 1.

    Examples
    --------
    >>> from detector import Detector
    >>> page = Detector().scan("Rain is expected.\\n\\nSupport us from $2 a month. Your gift keeps our newsroom alive.")
    >>> [block.label for block in page.blocks]
    ['editorial', 'donation']
    """

    def __init__(self, model: str | Path | None = None, threshold: float | None = None) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"the threshold is {threshold}, not a number from 0 to 1")
        self.model: Model = shipped_model() if model is None else read_model(Path(model))
        self.threshold = threshold

    def scan(self, page: bytes | str, input: str | None = None) -> Page:
        """Judge a page.

        Parameters
        ----------
        page : bytes or str
            HTML or plain text; bytes are decoded as a browser would.
        input : {"html", "text"}, optional
            What the page is; told by its content unless given.

        Raises
        ------
        PageError
            The page is empty, binary, without text, too large, or built to stall a parser.
        """
        source = read(page)
        kind = input or sniff_kind(source.text)
        if kind not in ("html", "text"):
            raise ValueError(f"input is {kind!r}, neither 'html' nor 'text'")
        cut = segment(source, kind)
        probabilities = self.model.classifier.probabilities(cut)
        threshold = self.threshold
        if threshold is None:
            threshold = self.model.thresholds[self.model.classifier.kind_of(cut)]
        return Page(kind, _blocks(cut, probabilities, threshold), source.text)

    def clean(
        self, page: bytes | str, to: str = "text", drop: Collection[str] = FLAGGED, input: str | None = None
    ) -> str:
        """The page without what was flagged.

        Where more of the page's prose is flagged than is credible, nothing is taken (see `Page.is_kept_whole`).

        Parameters
        ----------
        page, input
            As for `scan`.
        to : {"text", "html"}
            Text comes a paragraph a line; HTML needs an HTML page.
        drop : collection of str
            Labels and kinds to take out; "other" takes all that is not the article.

        Raises
        ------
        PageError
            As for `scan`, or HTML is asked for of a page of plain text.
        ValueError
            A name in ``drop`` is unknown.
        """
        judged = self.scan(page, input)
        return judged.html(drop) if to == "html" else judged.text(drop)

    def scan_many(
        self, pages: Iterable[bytes | str], input: str | None = None, jobs: int = 1
    ) -> Iterator[Page | PageError]:
        """Judge many pages, in order; a page that cannot be judged gives its error in its place.

        Parameters
        ----------
        pages, input
            As for `scan`.
        jobs : int
            Processes that judge pages. With more than one, pages are read ahead, and a page that takes more than 10 s
            or ends its process is one that fails.
        """
        from detector.bulk.judge import judge

        for _, page in judge(self, partial(Detector.scan, input=input), pages, jobs, len):
            yield page


def _blocks(cut: Segmented, probabilities: Float, threshold: float) -> tuple[Block, ...]:
    scores = ask_scores(probabilities)
    flagged = scores >= threshold
    # A flagged block is the likelier of the two asks, any other the likeliest of the rest.
    kinds = np.where(flagged[:, None] == ASKS, probabilities, -1).argmax(axis=1)
    names = [KINDS[kind] for kind in kinds.tolist()]
    labels = [LABEL_OF_KIND[name] for name in names]
    rounded = scores.astype(np.float64).round(4).tolist()
    nothing = [None] * len(names)
    starts, ends = zip(*cut.spans, strict=True) if cut.spans else (nothing, nothing)
    paths = cut.structure.xpaths() if cut.structure else nothing
    return blocks_of(len(names), cut.texts, labels, names, rounded, starts, ends, paths)
