"""The frozen data classes that the detector hands out, the names of its labels, and the error it raises."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter
from typing import Any

KINDS = (
    "editorial",
    "donation",
    "paywall",
    "newsletter",
    "consent",
    "advert",
    "teaser",
    "comment",
    "furniture",
)
"""What a block can be, as the labelled data has it."""

LABELS = ("editorial", "donation", "paywall", "other")
"""What users act on."""

LABEL_OF_KIND = {
    "editorial": "editorial",
    "comment": "editorial",
    "donation": "donation",
    "paywall": "paywall",
} | dict.fromkeys(("newsletter", "consent", "advert", "teaser", "furniture"), "other")

FLAGGED = ("donation", "paywall")
"""The labels that a block's score is the probability of."""


CREDIBLE_SHARE = 0.75
"""Where more of a page's prose is flagged, nothing is taken: on labelled articles asks are at most two thirds of it."""


class PageError(ValueError):
    """A page cannot be judged; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph of a page and what it is.

    ``label`` is one of LABELS, ``kind`` one of KINDS, ``score`` the probability, from 0 to 1, that the block is
    donation or paywall. A block of plain text has ``start`` and ``end``, character offsets into the input; a block of
    HTML has ``xpath``, the path of its element in the tree that the HTML standard's parser builds.
    """

    text: str
    label: str
    kind: str
    score: float
    start: int | None = None
    end: int | None = None
    xpath: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields that the block has, by name."""
        return {name: value for name in Block.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Page:
    """A judged page.

    ``input`` is "html" or "text", ``source`` the page as it was judged, ``blocks`` its blocks in document order.
    """

    input: str
    blocks: tuple[Block, ...]
    source: str = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A page on its way to another process, as columns: that takes a fifth of the time that blocks take."""
        columns = [list(map(attrgetter(name), self.blocks)) for name in Block.__slots__]
        return _page_of, (self.input, len(self.blocks), columns, self.source)

    @property
    def flagged_share(self) -> float:
        """The share of the page's prose, in characters, that is flagged; prose is what is editorial or flagged."""
        flagged = sum(len(block.text) for block in self.blocks if block.label in FLAGGED)
        prose = flagged + sum(len(block.text) for block in self.blocks if block.label == "editorial")
        return flagged / prose if prose else 0.0

    @property
    def is_kept_whole(self) -> bool:
        """Whether more is flagged than is credible, so that cleaning takes nothing."""
        return self.flagged_share > CREDIBLE_SHARE

    @property
    def left_whole(self) -> str | None:
        """The remark for the user where cleaning takes nothing because more is flagged than is credible."""
        return f"left whole: {self.flagged_share:.0%} of its prose was flagged" if self.is_kept_whole else None

    def dropped(self, drop: Collection[str] = FLAGGED) -> list[bool]:
        """Whether each block is to be dropped; ``drop`` as for `kinds_to_drop`."""
        kinds = kinds_to_drop(drop)
        may_drop = not self.is_kept_whole
        return [may_drop and block.kind in kinds for block in self.blocks]

    def text(self, drop: Collection[str] = FLAGGED) -> str:
        """The text that is left, a paragraph a line; ``drop`` as for `kinds_to_drop`."""
        left = [block.text for block, out in zip(self.blocks, self.dropped(drop), strict=True) if not out]
        return "".join(f"{text}\n" for text in left)

    def html(self, drop: Collection[str] = FLAGGED) -> str:
        """The page's HTML without the dropped blocks; ``drop`` as for `kinds_to_drop`.

        Raises
        ------
        PageError
            The page is plain text.
        """
        # Imported here, as the data classes stand below the parser.
        from detector.strip import html_without

        if self.input != "html":
            raise PageError("the page is plain text, so there is no HTML to hand back: ask for text")
        return html_without(self.source, self.dropped(drop))


def blocks_of(count: int, *columns: Iterable[Any]) -> tuple[Block, ...]:
    """So many blocks, of whose fields each column has the values; a frozen class is filled faster field by field."""
    blocks = list(map(object.__new__, repeat(Block, count)))
    for name, values in zip(Block.__slots__, columns, strict=True):
        deque(map(getattr(Block, name).__set__, blocks, values), maxlen=0)
    return tuple(blocks)


def _page_of(kind: str, count: int, columns: list[list[Any]], source: str) -> Page:
    return Page(kind, blocks_of(count, *columns), source)


def kinds_to_drop(names: Collection[str]) -> frozenset[str]:
    """The kinds that are meant by labels and kinds; "other" means all that is not the article.

    Raises
    ------
    ValueError
        A name is neither a label nor a kind.
    """
    kinds: set[str] = set()
    for name in names:
        if name == "other":
            kinds |= {kind for kind in KINDS if LABEL_OF_KIND[kind] != "editorial"}
        elif name in KINDS:
            kinds |= {kind for kind in KINDS if name in (kind, LABEL_OF_KIND[kind])}
        else:
            raise ValueError(f"{name!r} is neither a label nor a kind; known are {', '.join((*KINDS, 'other'))}")
    return frozenset(kinds)
