"""What labelled data is like: which blocks nearly repeat each other, which languages have few pages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detector.page import FLAGGED
from detector.training.data import LabelledPage
from detector.training.words import words

RUN = 5
"""Words; blocks of the same language that share half of their runs of so many are nearly the same."""

PAGES_WANTED = {"donation": 12, "paywall": 12, "neither": 16}
"""How many pages with such blocks, and with neither, teach a language."""


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A block that repeats blocks of earlier pages: ``shared`` of its ``runs`` runs of words stand there."""

    page: LabelledPage
    block: int
    other: LabelledPage
    shared: int
    runs: int

    def __str__(self) -> str:
        return (
            f"{self.page.place}: block {self.block} shares {self.shared} of its {self.runs} runs of {RUN} words with"
            f" other pages, most with {self.other.place}"
        )


def near_duplicates(pages: Sequence[LabelledPage]) -> tuple[list[NearDuplicate], int]:
    """The blocks that nearly repeat a block of an earlier page in the same language, and how many were compared."""
    owners: dict[tuple[str, ...], int] = {}  # the first page of each run in a language
    found: list[NearDuplicate] = []
    compared = 0
    for index, page in enumerate(pages):
        of_page = [(number, _runs(text)) for number, text in enumerate(page.texts)]
        for number, runs in of_page:
            others = Counter(owners[key] for run in runs if (key := (page.lang, *run)) in owners)
            compared += bool(runs)
            if runs and 2 * others.total() >= len(runs):
                ((most, _),) = others.most_common(1)
                found.append(NearDuplicate(page, number, pages[most], others.total(), len(runs)))
        for _, runs in of_page:
            for run in runs:
                owners.setdefault((page.lang, *run), index)
    return found, compared


def short_languages(pages: Sequence[LabelledPage]) -> Iterator[str]:
    """A line for each language that has fewer pages than PAGES_WANTED."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for page in pages:
        asks = set(page.labels) & set(FLAGGED)
        counts[page.lang].update(asks or {"neither"})
    for lang, count in sorted(counts.items()):
        if any(count[kind] < wanted for kind, wanted in PAGES_WANTED.items()):
            yield f"{lang}: " + ", ".join(f"{count[kind]} {kind}" for kind in PAGES_WANTED)


def _runs(text: str) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tokens[at : at + RUN] for at in range(len(tokens) - RUN + 1)}
