"""Pages from files, folders and standard input."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.page import PageError

SUFFIXES = (".html", ".htm", ".html.gz", ".htm.gz", ".txt", ".txt.gz")
"""What is taken for a page in a folder; a file that is named is read whatever its name."""

MAX_BYTES = 80_000_000
"""Larger files are refused, packed or unpacked: no page needs them, and a small packed file can hold gigabytes."""

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a page comes from: ``path`` as it is shown to users, and ``name``, its path below the folder they named."""

    path: str
    name: str

    def read(self) -> bytes:
        """The page's bytes, unpacked. Raises PageError where they cannot be had."""
        if self.path == STDIN:
            return _limited(sys.stdin.buffer.read(MAX_BYTES + 1))
        try:
            with open(self.path, "rb") as file:
                if not self.path.endswith(".gz"):
                    return _limited(file.read(MAX_BYTES + 1))
                with gzip.open(file) as unpacked:
                    return _limited(unpacked.read(MAX_BYTES + 1))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise PageError(f"cannot be unpacked: not gzip, or cut off ({error})") from error
        except OSError as error:
            raise PageError(f"cannot be read ({error.strerror or error})") from error


def find_pages(paths: Iterable[str]) -> Iterator[Source | tuple[str, PageError]]:
    """The pages of files, folders and "-", in order; for a path that gives none, the path and the reason.

    Folders are searched to the bottom, in the order of names.
    """
    for path in paths:
        if path == STDIN or not os.path.isdir(path):
            yield Source(path, "stdin" if path == STDIN else os.path.basename(path))
            continue
        found = False
        for page in _walk(path):
            found = True
            yield page
        if not found:
            yield path, PageError(f"no page in this folder (looked for {', '.join(SUFFIXES)})")


def _walk(folder: str) -> Iterator[Source | tuple[str, PageError]]:
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        for file in sorted(files):
            if file.lower().endswith(SUFFIXES):
                path = os.path.join(parent, file)
                yield Source(path, os.path.relpath(path, folder))
    for error in unreadable:
        yield str(error.filename), PageError(f"cannot be read ({error.strerror})")


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise PageError(f"the page is larger than {MAX_BYTES // 1_000_000} MB")
    return data


def stem(name: str) -> str:
    """A page's name without the endings of `SUFFIXES`."""
    path = Path(name)
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return str(path.with_name(path.name[: -len(suffix)]))
    return name
