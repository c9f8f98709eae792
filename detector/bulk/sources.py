"""Pages from files, folders, standard input, and files that hold many: WARC, JSONL and Parquet.

`find_inputs` finds the files, `open_input` what is in one. A page comes as a `Source`: small, fit to be sent to another
process, and read there.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector.bulk.judge import Aside
from detector.page import PageError

if TYPE_CHECKING:
    from detector.bulk.removed import Removed

PAGE_SUFFIXES = (".html", ".htm", ".html.gz", ".htm.gz", ".txt", ".txt.gz")
WARC_SUFFIXES = (".warc", ".warc.gz")
JSONL_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
PARQUET_SUFFIXES = (".parquet",)
SUFFIXES = PAGE_SUFFIXES + WARC_SUFFIXES + JSONL_SUFFIXES + PARQUET_SUFFIXES
"""What is taken in a folder; a file that is named is read whatever its name, as a page unless its name says more."""

COLUMNS = ("html", "content", "text", "raw_html", "body")
"""Columns that pages are looked for in, in this order."""

MAX_BYTES = 80_000_000
"""Larger pages are refused, packed or unpacked: no page needs them, and a small packed file can hold gigabytes."""

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Failure(Aside):
    """A page, or a whole input, that cannot be had; ``place`` is what users are told."""

    place: str
    error: PageError


@dataclass(frozen=True, slots=True)
class Input:
    """A file that was found: ``path`` as users are told, ``name`` below the folder they named, ``size`` in bytes.

    ``form`` is "page", "warc", "jsonl" or "parquet".
    """

    path: str
    name: str
    form: str
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A page to be judged.

    ``path`` names it in what is written, ``place`` where it fails, ``name`` is its path below the folder that users
    named, ``size`` how many bytes of the input it took. ``content`` is the page, or None where it is read from its
    file.
    """

    path: str
    name: str
    size: int
    content: bytes | str | None = None

    @property
    def place(self) -> str:
        """What users are told where the page fails."""
        return self.path

    @property
    def weight(self) -> int:
        """How many bytes, or characters, it takes to send it to another process."""
        return len(self.content or "")

    def page(self) -> bytes | str:
        """The page's bytes, unpacked. Raises PageError where they cannot be had."""
        return _read(self.path) if self.content is None else self.content

    def identity(self) -> Any:
        """What Dolma's attributes know the document by."""
        return self.path

    def cleaned_form(self, kind: str) -> str | None:
        """What a page of a kind, html or text, is cleaned to unless users say it; None leaves it as near as it can."""
        return "text"

    def cleaned(self, removed: Removed | None) -> Any:
        """What is written of the page once it is cleaned; None for a page that failed. Here what is left of it."""
        return removed.left.encode("utf-8", "replace") if removed and removed.left is not None else b""


def find_inputs(paths: Iterable[str]) -> Iterator[Input | Failure]:
    """The files of paths, folders and "-", in order; for a path that gives none, the reason.

    Folders are searched to the bottom, in the order of names.
    """
    for path in paths:
        if path == STDIN:
            yield Input(STDIN, "stdin", "page", 0)
        elif not os.path.isdir(path):
            yield _input(path, os.path.basename(path))
        else:
            found = False
            for item in _walk(path):
                found = True
                yield item
            if not found:
                yield Failure(path, PageError(f"no page in this folder (looked for {', '.join(SUFFIXES)})"))


def open_input(source: Input, column: str | None) -> Iterable[Source | Failure]:
    """What is in a file, ready to be read.

    Parameters
    ----------
    source
        Of `find_inputs`.
    column
        The one that pages stand in, in JSONL and Parquet; one of `COLUMNS` unless given.

    Raises
    ------
    PageError
        The file cannot be opened, is not what its name says, or needs a package that is not installed.
    """
    # Each imported where it is needed, as it brings a package that few need.
    if source.form == "warc":
        from detector.bulk.warc import read_warc

        return read_warc(source)
    if source.form == "jsonl":
        from detector.bulk.jsonl import read_jsonl

        return read_jsonl(source, column)
    if source.form == "parquet":
        from detector.bulk.parquet import ParquetPages

        return ParquetPages(source, column)
    if source.path == STDIN:
        return _stdin()
    return [Source(source.path, source.name, source.size)]


def stem(name: str) -> str:
    """A name without the endings of `SUFFIXES`."""
    suffix = _suffix(name)
    return name[: len(name) - len(suffix)] if suffix else name


def _suffix(name: str) -> str:
    return max((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), key=len, default="")


def _input(path: str, name: str) -> Input:
    suffix = _suffix(path)
    forms = {"warc": WARC_SUFFIXES, "jsonl": JSONL_SUFFIXES, "parquet": PARQUET_SUFFIXES}
    form = next((form for form, suffixes in forms.items() if suffix in suffixes), "page")
    try:
        size = os.path.getsize(path)
    except OSError:  # told when it is read
        size = 0
    return Input(path, name, form, size)


def _walk(folder: str) -> Iterator[Input | Failure]:
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        for file in sorted(files):
            if _suffix(file):
                path = os.path.join(parent, file)
                yield _input(path, os.path.relpath(path, folder))
    for error in unreadable:
        yield Failure(str(error.filename), PageError(f"cannot be read ({error.strerror})"))


def _stdin() -> Iterable[Source | Failure]:
    """One page, or the pages of a WARC, which is told by its first bytes."""
    from detector.bulk import warc

    stdin = sys.stdin.buffer
    head = stdin.read(warc.SNIFFED_BYTES)
    if warc.is_warc(head):
        return warc.read_stdin(head, stdin)
    return [Source(STDIN, "stdin", 0, head + stdin.read(MAX_BYTES + 1 - len(head)))]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            if not path.endswith(".gz"):
                return limited(file.read(MAX_BYTES + 1))
            with gzip.open(file) as unpacked:
                return limited(unpacked.read(MAX_BYTES + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PageError(f"cannot be unpacked: not gzip, or cut off ({error})") from error
    except OSError as error:
        raise unreadable(error) from error


def limited(data: bytes) -> bytes:
    """The data. Raises PageError where it is longer than `MAX_BYTES`."""
    if len(data) > MAX_BYTES:
        raise PageError(f"the page is larger than {MAX_BYTES // 1_000_000} MB")
    return data


def unreadable(error: OSError) -> PageError:
    """The error that tells users of one of the system's."""
    return PageError(f"cannot be read ({error.strerror or error})")


def missing(package: str, extra: str) -> PageError:
    """The error that tells users what to install."""
    return PageError(f"reading it needs {package}: pip install 'paywall-detector[{extra}]'")
