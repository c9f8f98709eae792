"""What is done with a page where it is judged: its labels or what is left of it, as they are written."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from detector.bulk.removed import remove
from detector.bulk.sources import Source
from detector.page import FLAGGED, Page, PageError

if TYPE_CHECKING:
    from detector.detector import Detector

FORMATS = ("table", "jsonl", "text", "parquet", "dolma")

_COLOURS = {"donation": "magenta", "paywall": "yellow", "editorial": None, "other": "bright_black"}


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a page: ``output``, bytes or a row to write; its blocks counted by label; a remark for the user."""

    output: Any
    labels: Mapping[str, int]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How wide tables are cut, and whether they are coloured."""

    width: int = field(default_factory=lambda: max(shutil.get_terminal_size((100, 24)).columns, 60))
    colour: bool = field(default_factory=lambda: sys.stdout.isatty() and "NO_COLOR" not in os.environ)


@dataclass(frozen=True, slots=True)
class Scan:
    """Label a page, in one of `FORMATS`."""

    form: str
    kind: str | None
    terminal: Terminal = field(default_factory=Terminal)

    def __call__(self, detector: Detector, source: Source) -> Done:
        """Judge the page. Raises PageError."""
        page = detector.scan(source.page(), self.kind)
        return Done(self._write(source, page), _labels(page))

    def _write(self, source: Source, page: Page) -> Any:
        if self.form == "parquet":
            return json_object(source, page)
        if self.form == "dolma":
            return _encoded(dolma_line(source, page))
        if self.form == "jsonl":
            return _encoded(json.dumps(json_object(source, page), ensure_ascii=False) + "\n")
        return _encoded(
            tab_lines(source.path, page) if self.form == "text" else table(source.path, page, self.terminal)
        )

    def failed(self, source: Source) -> bytes | None:
        """What stands in a failed page's place: attributes have to be as many as documents."""
        return _encoded(dolma_line(source, None)) if self.form == "dolma" else None


@dataclass(frozen=True, slots=True)
class Clean:
    """Take blocks out of a page; ``to`` and ``drop`` as for the command line."""

    to: str | None
    drop: tuple[str, ...]
    kind: str | None

    def __call__(self, detector: Detector, source: Source) -> Done:
        """Judge the page. Raises PageError."""
        page = detector.scan(source.page(), self.kind)
        removed = remove(page, self.to or source.cleaned_form(page.input), self.drop)
        return Done(source.cleaned(removed), _labels(page), page.left_whole or "")

    def failed(self, source: Source) -> Any:
        """What stands in a failed page's place."""
        return source.cleaned(None)


Task: TypeAlias = Scan | Clean


def table(path: str, page: Page, terminal: Terminal) -> str:
    """One line a block, cut to the terminal's width; colour where standard output is a terminal that wants it."""
    lines = [f"{path}: {len(page.blocks)} blocks, {sum(block.label in FLAGGED for block in page.blocks)} flagged"]
    for block in page.blocks:
        start = f"{block.label:<9}  {block.score:4.2f}  "
        text = _cut(_printable(block.text), terminal.width - len(start))
        lines.append(click.style(start + text, fg=_COLOURS[block.label]) if terminal.colour else start + text)
    return "\n".join(lines) + "\n\n"


def tab_lines(path: str, page: Page) -> str:
    """One line a block: path, label, kind, score and text, with tabs between."""
    return "".join(f"{path}\t{b.label}\t{b.kind}\t{b.score:.4f}\t{b.text}\n" for b in page.blocks)


def json_object(source: Source, page: Page) -> dict[str, Any]:
    """The page and its blocks."""
    named = {"path": source.path} | ({"record": source.record} if hasattr(source, "record") else {})
    return named | {"input": page.input, "blocks": [block.as_dict() for block in page.blocks]}


def dolma_line(source: Source, page: Page | None) -> str:
    """The attributes of a document, as the Dolma toolkit has them; of one that failed, without spans.

    Raises
    ------
    PageError
        The document is HTML.
    """
    if page and page.input != "text":
        raise PageError("HTML, and Dolma's spans are offsets into text: give text that was extracted, or --input text")
    attributes = {
        f"detector__{label}": [[b.start, b.end, b.score] for b in (page.blocks if page else ()) if b.label == label]
        for label in FLAGGED
    }
    return json.dumps({"id": source.identity(), "attributes": attributes}, ensure_ascii=False) + "\n"


def _labels(page: Page) -> dict[str, int]:
    return Counter(block.label for block in page.blocks)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _printable(text: str) -> str:
    """Without control characters, by which a page could steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cut(text: str, columns: int) -> str:
    """The text cut to so many columns of a terminal; wide characters take two."""
    used = 0
    for at, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else not unicodedata.combining(character)
        if used > columns - 1 and at < len(text) - 1:
            return text[:at] + "…"
    return text
