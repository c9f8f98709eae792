"""What every adapter does with a page, by settings that pickle small: the model is read where it is used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from detector.detector import Detector
from detector.page import FLAGGED, Block, Page, PageError, kinds_to_drop


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A judged page, what is left of it, and the blocks that were taken out."""

    page: Page
    text: str
    removed: tuple[Block, ...]

    @property
    def left_whole(self) -> str | None:
        """The remark to log where more was flagged than is credible, so that nothing was taken."""
        return self.page.left_whole


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Judges and cleans pages; the parameters are those of `Detector` and of `Detector.clean`.

    Raises
    ------
    ValueError
        A name in ``drop`` is unknown, or ``to`` is neither "text" nor "html".
    """

    to: str = "text"
    drop: Collection[str] = FLAGGED
    input: str | None = None
    model: str | Path | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        kinds_to_drop(self.drop)
        if self.to not in ("text", "html"):
            raise ValueError(f"to is {self.to!r}, neither 'text' nor 'html'")

    def detector(self) -> Detector:
        """The detector of these settings, made once in each process.

        Raises
        ------
        ModelError
            The model cannot be read.
        ValueError
            The threshold is not between 0 and 1.
        """
        return _detector(self.model, self.threshold)

    def scan(self, page: object) -> Page:
        """The page judged.

        Raises
        ------
        PageError
            As for `Detector.scan`, or the page is neither bytes nor str.
        """
        if not isinstance(page, (bytes, str)):
            raise PageError(f"the page is {type(page).__name__}, neither bytes nor str")
        return self.detector().scan(page, self.input)

    def clean(self, page: object) -> Cleaned:
        """The page judged and cleaned. Raises as `scan` does, or PageError: HTML is asked for of plain text."""
        judged = self.scan(page)
        text = judged.html(self.drop) if self.to == "html" else judged.text(self.drop)
        dropped = judged.dropped(self.drop)
        return Cleaned(judged, text, tuple(block for block, out in zip(judged.blocks, dropped, strict=True) if out))


@cache
def _detector(model: str | Path | None, threshold: float | None) -> Detector:
    return Detector(model, threshold)
