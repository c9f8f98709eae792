"""Labelled data: folders with ``labels.jsonl`` and, where there is HTML, ``pages/ID.html.gz``.

One page a line: {"id", "group", "lang", "access", "blocks": [{"text", "label"}]}. ``group`` names the publisher (or,
for text written for training, its batch); data is split by it, never by page.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.encoding import decode
from detector.page import FLAGGED, KINDS, PageError
from detector.segment import Segmented, segment_html
from detector.training.words import shingles, words

UNCLEAR = "unclear"
"""The label of blocks that are left out of training and scoring."""

DATA_LABELS = (*KINDS, UNCLEAR)
ACCESS = ("open", "metered", "gated", "na")
LABELS_FILE = "labels.jsonl"


class DataError(ValueError):
    """Labelled data cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """One page of labelled data; ``texts`` and ``labels`` have one entry a block, ``file`` and ``line`` its place."""

    id: str
    group: str
    lang: str
    access: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    file: Path
    line: int

    @property
    def place(self) -> str:
        """FILE:LINE, for messages."""
        return f"{self.file}:{self.line}"

    @property
    def source(self) -> str:
        """The name of the labelled folder."""
        return self.file.resolve().parent.name

    @property
    def html_file(self) -> Path | None:
        """Where the page's HTML lies, or None where the data has only its text."""
        path = self.file.parent / "pages" / f"{self.id}.html.gz"
        return path if path.exists() else None


def read_pages(folders: Sequence[Path]) -> list[LabelledPage]:
    """The pages of labelled folders, in order.

    Raises
    ------
    DataError
        A folder has no labels, a line is not a page, a label is unknown, or an id stands twice.
    """
    pages, problems = _read(folders)
    if problems:
        more = f" (and {len(problems) - 1} more: see `detector check`)" if len(problems) > 1 else ""
        raise DataError(problems[0] + more)
    return pages


def check(folders: Sequence[Path]) -> list[str]:
    """All that is wrong with labelled folders, as "FILE:LINE: what".

    Beside what `read_pages` raises for: HTML that cannot be read or does not hold the page's blocks, and data without
    any donation or paywall block.
    """
    pages, problems = _read(folders)
    problems += [problem for page in pages if (problem := _html_problem(page))]
    for label in FLAGGED:
        if pages and not any(label in page.labels for page in pages):
            problems.append(f"{pages[0].file}: no block of any page is labelled {label}")
    return problems


def html_of(page: LabelledPage) -> str:
    """The page's HTML. Raises DataError where it has none or it cannot be unpacked."""
    if page.html_file is None:
        raise DataError(f"{page.place}: the page has no HTML")
    try:
        with gzip.open(page.html_file) as file:
            return decode(file.read())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{page.html_file}: cannot be unpacked ({error})") from error


def segmented(page: LabelledPage) -> tuple[Segmented, list[str]]:
    """The page cut by this package, and the label of each of its blocks.

    HTML is cut anew and labels are carried over (see `align`); of a page without HTML the labelled blocks are taken
    as they are.
    """
    if page.html_file is None:
        return Segmented(list(page.texts)), list(page.labels)
    try:
        cut = segment_html(html_of(page))
    except PageError as error:
        raise DataError(f"{page.place}: {error}") from error
    return cut, align(cut.texts, page.texts, page.labels)


def align(texts: Sequence[str], labelled_texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The label of each text, from labelled texts that may be cut otherwise.

    The n-th of equal texts takes the label of the n-th equal labelled text; any other takes the label that most of
    its 4-word shingles have among the labelled texts left over, or is unclear where fewer than half of them are there.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(labelled_texts):
        places[text].append(index)
    matches: list[int | None] = []
    seen: Counter[str] = Counter()
    for text in texts:
        nth, seen[text] = seen[text], seen[text] + 1
        matches.append(places[text][nth] if nth < len(places[text]) else None)
    left = set(range(len(labelled_texts))) - set(matches)
    owners: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for index in left:
        for shingle in shingles(words(labelled_texts[index])):
            owners[shingle][labels[index]] += 1
    return [
        _label_by_shingles(text, owners) if match is None else labels[match]
        for text, match in zip(texts, matches, strict=True)
    ]


def text_hash(text: str) -> str:
    """The first 8 hex digits of the SHA-256 of a block's text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def page_hash(page_id: str, group: str, lang: str, text_hashes: Sequence[str], labels: Sequence[str]) -> str:
    """SHA-256 of what a page teaches: its blocks as this package cuts them, and their labels.

    It takes the hashes of the texts, so that a corpus by reference, which holds no text, has the hash of the corpus
    itself. The id tells the HTML.
    """
    fields = [page_id, group, lang, list(text_hashes), list(labels)]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def data_hash(page_hashes: Iterable[str]) -> str:
    """SHA-256 over pages, whatever their order."""
    return hashlib.sha256("\n".join(sorted(page_hashes)).encode()).hexdigest()


def _label_by_shingles(text: str, owners: dict[tuple[str, ...], Counter[str]]) -> str:
    own = shingles(words(text))
    votes: Counter[str] = Counter()
    for shingle in own & owners.keys():
        votes.update(owners[shingle].keys())
    if not votes:
        return UNCLEAR
    label, count = min(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    return label if 2 * count >= len(own) else UNCLEAR


def _read(folders: Sequence[Path]) -> tuple[list[LabelledPage], list[str]]:
    pages: list[LabelledPage] = []
    problems: list[str] = []
    places: dict[str, str] = {}
    for folder in folders:
        file = folder / LABELS_FILE
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: not readable as labelled data ({error})")
            continue
        for number, line in enumerate(lines, 1):
            page = _parse(line, file, number)
            if isinstance(page, str):
                problems.append(f"{file}:{number}: {page}")
            elif page.id in places:
                problems.append(f"{page.place}: the id {page.id} stands at {places[page.id]} already")
            else:
                places[page.id] = page.place
                pages.append(page)
        if not lines:
            problems.append(f"{file}: no labelled page")
    return pages, problems


def _parse(line: str, file: Path, number: int) -> LabelledPage | str:
    """The page of one line, or what is wrong with it."""
    try:
        page = json.loads(line)
    except ValueError as error:
        return f"not JSON ({error})"
    problem = next(_page_problems(page), None)
    if problem:
        return problem
    texts = tuple(" ".join(block["text"].split()) for block in page["blocks"])
    labels = tuple(block["label"] for block in page["blocks"])
    return LabelledPage(page["id"], page["group"], page["lang"], page["access"], texts, labels, file, number)


def _page_problems(page: Any) -> Iterator[str]:
    if not isinstance(page, dict):
        yield "not a JSON object"
        return
    for name in ("id", "group", "lang", "access"):
        if not isinstance(page.get(name), str) or not page[name]:
            yield f'"{name}" is missing, empty or not a string'
    if page.get("access") not in ACCESS:
        yield f'"access" is {page.get("access")!r}, not one of {", ".join(ACCESS)}'
    if not isinstance(page.get("blocks"), list) or not page["blocks"]:
        yield '"blocks" is missing or empty'
        return
    for index, block in enumerate(page["blocks"]):
        if not isinstance(block, dict) or not isinstance(block.get("text"), str) or not block["text"].strip():
            yield f'block {index} has no "text"'
        elif block.get("label") not in DATA_LABELS:
            yield f"block {index} has the unknown label {block.get('label')!r}; known are {', '.join(DATA_LABELS)}"


def _html_problem(page: LabelledPage) -> str | None:
    if page.html_file is None:
        return None
    try:
        _, labels = segmented(page)
    except DataError as error:
        return str(error)
    found = sum(label != UNCLEAR for label in labels)
    wanted = sum(label != UNCLEAR for label in page.labels)
    if 2 * found < wanted:
        return f"{page.place}: the page's HTML holds {found} of its {wanted} labelled blocks"
    return None
