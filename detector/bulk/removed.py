"""What cleaning took out of a page, for those who keep pages in the rows of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from detector.page import LABELS, Page

ADDED = ("removed_blocks", "removed_words")
"""The columns that cleaned rows get: how many blocks of each label are gone, and how many words."""

_NOTHING = MappingProxyType(dict.fromkeys(LABELS, 0))


@dataclass(frozen=True, slots=True)
class Removed:
    """``left`` is what is left of the page, None where it stays as it was; ``blocks`` are counted by label."""

    left: str | None = None
    blocks: Mapping[str, int] = field(default_factory=lambda: dict(_NOTHING))
    words: int = 0

    def columns(self) -> dict[str, Any]:
        """The columns of `ADDED`."""
        return dict(zip(ADDED, (dict(self.blocks), self.words), strict=True))


def remove(page: Page, to: str | None, drop: Collection[str]) -> Removed:
    """Take blocks out of a page.

    ``to`` is as for the command line. Without it HTML stays HTML, and of text only what is dropped goes: a page of
    which nothing does stays as it was.

    Raises
    ------
    PageError
        HTML is asked for of a page of plain text.
    """
    dropped = page.dropped(drop)
    blocks = dict(_NOTHING)
    words = 0
    for block, out in zip(page.blocks, dropped, strict=True):
        if out:
            blocks[block.label] += 1
            words += len(block.text.split())
    left = page.html(drop) if to == "html" else page.text(drop) if to == "text" else _as_it_was(page, drop, dropped)
    return Removed(left, blocks, words)


def _as_it_was(page: Page, drop: Collection[str], dropped: list[bool]) -> str | None:
    if not any(dropped):
        return None
    if page.input == "html":
        return page.html(drop)
    kept, at = [], 0
    starts = [block.start for block in page.blocks[1:]] + [len(page.source)]
    for block, following, out in zip(page.blocks, starts, dropped, strict=True):
        if out:
            kept.append(page.source[at : block.start])
            at = following or 0
    return "".join([*kept, page.source[at:]])
