"""The words of a text as the figures count them, and whether one text stands in others.

Texts are compared by their words, not by their cuts, so any segmentation can be scored: a text of five words or more
stands in others when at least half of its 4-word shingles do, a shorter one when the whole of it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

SHINGLE = 4  # words
LONG = 5  # words; a text of fewer is short

# Thai, Japanese, Chinese and Korean are written without spaces between words, or count a syllable block as one.
_SINGLE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+")

Words: TypeAlias = tuple[str, ...]


def words(text: str) -> Words:
    """The text's words in lower case; each character of a script without spaces is one."""
    return tuple(_WORD.findall(text.lower()))


def shingles(tokens: Words) -> set[Words]:
    """The runs of four words (of all words, where they are fewer)."""
    if not tokens:
        return set()
    return {tokens[i : i + SHINGLE] for i in range(max(1, len(tokens) - SHINGLE + 1))}


class Passages:
    """Some texts of one page, to ask whether another text stands in them."""

    def __init__(self, texts: Iterable[str]) -> None:
        runs = [words(text) for text in texts]
        self._shingles = {shingle for run in runs for shingle in shingles(run)}
        self._runs = " | ".join(f" {' '.join(run)} " for run in runs)

    def hold(self, tokens: Words) -> bool:
        """Whether the text of these words stands here."""
        if len(tokens) < LONG:
            return f" {' '.join(tokens)} " in self._runs
        own = shingles(tokens)
        return 2 * len(own & self._shingles) >= len(own)
