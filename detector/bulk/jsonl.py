"""JSONL files with a page in each row. A cleaned row keeps all else as it was written, to the byte."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from detector.bulk.removed import ADDED, Removed
from detector.bulk.sources import COLUMNS, MAX_BYTES, Failure, Input, Source, missing, unreadable
from detector.page import PageError

_DECODER = json.JSONDecoder()
_DAMAGED: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a row: its value, and where that stands in the line."""

    value: Any
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class JsonRow(Source):
    """A row; ``content`` is unused, as whoever judges the page parses the line."""

    line: bytes = b""
    column: str | None = None

    @property
    def weight(self) -> int:
        """As for `Source`."""
        return len(self.line)

    def page(self) -> str:
        """The page in the row's column. Raises PageError where there is none."""
        text: str = self._column(_members(self._text())).value
        return text

    def identity(self) -> Any:
        """The row's id, where it has one."""
        with contextlib.suppress(PageError):
            members = _members(self._text())
            return members["id"].value if "id" in members else None
        return None

    def cleaned_form(self, kind: str) -> None:
        """As for `Source`."""
        return

    def cleaned(self, removed: Removed | None) -> bytes:
        """The row with what is left of its page and two members more; where the page failed, with its page as it was.

        A row that is no JSON object is handed back as it was.
        """
        try:
            line = self._text()
            members = _members(line)
        except PageError:
            if removed:
                raise
            return self.line
        if taken := [name for name in ADDED if name in members]:
            if removed is None:
                return self.line
            raise PageError(f"the row has a member {taken[0]} already")
        end = line.rindex("}")
        added = json.dumps((removed or Removed()).columns())[1:-1]
        new = f"{line[:end].rstrip()}{', ' if members else ''}{added}{line[end:]}"
        if removed and removed.left is not None:
            column = self._column(members)
            as_written = line[column.start : column.end]
            left = json.dumps(removed.left, ensure_ascii=as_written.isascii())
            new = f"{new[: column.start]}{left}{new[column.end :]}"
        return new.encode("utf-8", "replace")

    def _text(self) -> str:
        try:
            return self.line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PageError("the row is not UTF-8") from error

    def _column(self, members: dict[str, _Member]) -> _Member:
        names = (self.column,) if self.column else COLUMNS
        member = next((members[name] for name in names if name in members), None)
        if member is None:
            raise PageError(no_column(self.column))
        if not isinstance(member.value, str):
            raise PageError("the column that should hold the page is not text")
        return member


def no_column(column: str | None) -> str:
    """What users are told where pages are not found in the columns of a row or table."""
    return f"no column {column}" if column else f"no column {', '.join(COLUMNS)}: name the one of pages with --column"


def _members(line: str) -> dict[str, _Member]:
    """The members of the object that a line is. Raises PageError where it is none."""
    members: dict[str, _Member] = {}
    try:
        at = _after(line, _skip(line, 0), "{")
        while line[at] != "}":
            if members:
                at = _after(line, at, ",")
            name, at = _DECODER.raw_decode(line, at)
            start = _after(line, _skip(line, at), ":")
            value, end = _DECODER.raw_decode(line, start)
            members[str(name)] = _Member(value, start, end)
            at = _skip(line, end)
        if line[at + 1 :].strip():
            raise ValueError(f"more after the object, at character {at + 2}")
    except (IndexError, RecursionError, ValueError) as error:
        raise PageError(f"the row is not a JSON object ({error})") from error
    return members


def _skip(line: str, at: int) -> int:
    return _SPACE.match(line, at).end()  # type: ignore[union-attr]


def _after(line: str, at: int, mark: str) -> int:
    """The place of what follows the mark that must stand here."""
    if line[at] != mark:
        raise ValueError(f"{line[at]!r} where {mark!r} should be, at character {at + 1}")
    return _skip(line, at + 1)


def read_jsonl(source: Input, column: str | None) -> Iterator[Source | Failure]:
    """The rows of a file; blank lines are none. Raises PageError where it cannot be opened."""
    try:
        raw = open(source.path, "rb")  # noqa: SIM115  (closed by _rows)
    except OSError as error:
        raise unreadable(error) from error
    return _rows(source, column, raw, unpacked(raw, source.path))


def _rows(source: Input, column: str | None, raw: BinaryIO, lines: IO[bytes]) -> Iterator[Source | Failure]:
    number = read = 0
    with raw:
        try:
            while line := lines.readline(MAX_BYTES + 1):
                number += 1
                if len(line) > MAX_BYTES:
                    raise PageError(f"longer than {MAX_BYTES // 1_000_000} MB; the rest of the file is left out")
                taken, read = raw.tell() - read, raw.tell()
                place = f"{source.path}:{number}"
                if not line.isspace():
                    yield JsonRow(place, source.name, taken, None, line, column)
        except PageError as error:
            yield Failure(f"{source.path}:{number}", error)
        except _DAMAGED + _zst_errors() as error:
            told = f"damaged or cut off after line {number} ({error}); the rest of the file is left out"
            yield Failure(source.path, PageError(told))
        except OSError as error:
            yield Failure(source.path, unreadable(error))


def unpacked(file: BinaryIO, name: str) -> IO[bytes]:
    """What is packed in a file, as the name's ending says. Raises PageError where the package for it is missing."""
    if name.lower().endswith(".gz"):
        return gzip.open(file)  # type: ignore[return-value]
    if name.lower().endswith(".zst"):
        return zst().open(file)  # type: ignore[no-any-return]
    return file


def packed(file: BinaryIO, name: str) -> IO[bytes]:
    """A file to write, packed as the name's ending says. The same content gives the same bytes."""
    if name.lower().endswith(".gz"):
        return gzip.GzipFile("", "wb", 6, file, mtime=0)  # type: ignore[return-value]
    if name.lower().endswith(".zst"):
        return zst().open(file, "wb")  # type: ignore[no-any-return]
    return file


def zst() -> Any:
    """The module for Zstandard: Python's own from 3.14, else its backport. Raises PageError where there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            import importlib

            return importlib.import_module(name)
    raise missing("Zstandard", "zst")


def _zst_errors() -> tuple[type[Exception], ...]:
    try:
        return (zst().ZstdError,)
    except PageError:
        return ()
