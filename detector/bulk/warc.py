"""Pages from web archives: the HTML of the responses with status 200 in a WARC file."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from detector.bulk.removed import Removed
from detector.bulk.sources import MAX_BYTES, STDIN, Failure, Input, Source, limited, missing, unreadable
from detector.encoding import decode, sniff
from detector.page import PageError

SNIFFED_BYTES = 4096
_MAGIC = b"WARC/"
_GZIP_MAGIC = b"\x1f\x8b"
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class WarcPage(Source):
    """A response: ``path`` is its address, ``content`` its body as it was sent, and the rest what its headers say."""

    archive: str = ""
    record: str = ""
    charset: str | None = None
    transfer: str = ""
    coding: str = ""

    @property
    def place(self) -> str:
        """As for `Source`."""
        return f"{self.archive}: {self.path}"

    def page(self) -> bytes | str:
        """As for `Source`."""
        body = limited(_unpacked(self.content, self.transfer, self.coding))  # type: ignore[arg-type]
        # Where the header says nothing new, the detector is spared a page that was decoded before.
        if self.charset and sniff(body, self.charset) != sniff(body):
            return decode(body, self.charset)
        return body

    def cleaned_form(self, kind: str) -> str:
        """As for `Source`."""
        return kind

    def cleaned(self, removed: Removed | None) -> bytes:
        """A JSON object; where the page failed there is none."""
        if removed is None:
            return b""
        row = {"url": self.path, "record": self.record, "content": removed.left} | removed.columns()
        return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def is_warc(head: bytes) -> bool:
    """Whether a file that begins so is a WARC, also a packed one."""
    if head.startswith(_GZIP_MAGIC):
        try:
            head = zlib.decompressobj(31).decompress(head, len(_MAGIC))
        except zlib.error:
            return False
    return head.startswith(_MAGIC)


def read_warc(source: Input) -> Iterator[Source | Failure]:
    """The pages of an archive. Raises PageError where it cannot be opened or is none."""
    try:
        file = open(source.path, "rb")  # noqa: SIM115  (closed by _pages)
        head = file.read(SNIFFED_BYTES)
        file.seek(0)
    except OSError as error:
        raise unreadable(error) from error
    if not is_warc(head):
        file.close()
        raise PageError("not a WARC file")
    _archive_iterator()
    return _pages(source.path, source.name, file, file)


def read_stdin(head: bytes, rest: BinaryIO) -> Iterator[Source | Failure]:
    """The pages of an archive on standard input, of which some is read already."""
    _archive_iterator()
    joined = _Joined(head, rest)
    # Python's gzip tells that a stream is cut off; a file's end is looked at instead, as that is twice as fast.
    stream = gzip.GzipFile(fileobj=joined) if head.startswith(_GZIP_MAGIC) else joined  # type: ignore[call-overload]
    return _pages(STDIN, "stdin.warc", None, stream)


class _Joined:
    """The bytes that were read, and then those that follow: as much of a file as fastwarc and gzip ask for."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head, self.rest, self.at = head, rest, 0

    def read(self, size: int) -> bytes:
        data = self.head[:size] or self.rest.read(size)
        self.head = self.head[len(data) :]
        self.at += len(data)
        return data

    def tell(self) -> int:
        return self.at


def _archive_iterator() -> Any:
    try:
        from fastwarc.warc import ArchiveIterator
    except ImportError as error:
        raise missing("fastwarc", "warc") from error
    return ArchiveIterator


def _pages(archive: str, name: str, file: IO[bytes] | None, stream: Any) -> Iterator[Source | Failure]:
    from fastwarc.warc import WarcRecordType

    found = at = 0
    left_out = "the rest of the archive is left out"
    with file or contextlib.nullcontext():
        try:
            records = _archive_iterator()(
                stream, record_types=WarcRecordType.response, parse_http=True, auto_decode="none", fsspec_args=False
            )
            for record in records:
                taken, at = record.stream_pos - at, record.stream_pos
                if not _is_page(record):
                    continue
                found += 1
                yield _page(record, archive, name, taken)
            if file:
                _refuse_cut(file, at)
            if not found:
                yield Failure(archive, PageError("no HTML response in this archive"))
        except PageError as error:
            yield Failure(archive, PageError(f"{error}; {left_out}"))
        except (OSError, EOFError, zlib.error) as error:
            yield Failure(archive, PageError(f"damaged or cut off after {found} pages ({error}); {left_out}"))


def _is_page(record: Any) -> bool:
    http = record.http_headers
    return bool(http) and http.status_code == 200 and record.http_content_type in _HTML_TYPES


def _page(record: Any, archive: str, name: str, taken: int) -> WarcPage | Failure:
    url = record.headers.get("WARC-Target-URI")
    if record.content_length > MAX_BYTES:
        return Failure(f"{archive}: {url}", PageError(f"the page is larger than {MAX_BYTES // 1_000_000} MB"))
    body = record.reader.read()
    if url is None or len(body) < record.content_length:
        raise PageError("cut off within a record")
    http = record.http_headers
    return WarcPage(
        path=url,
        name=name,
        size=taken,
        content=body,
        archive=archive,
        record=record.record_id or "",
        charset=(record.http_charset or "").strip("\"' ") or None,
        transfer=(http.get("Transfer-Encoding") or "").lower(),
        coding=(http.get("Content-Encoding") or "").lower(),
    )


def _refuse_cut(file: IO[bytes], at: int) -> None:
    """Raise EOFError where a packed archive, from its last page on, does not end as it should."""
    file.seek(at)
    data = file.read(_CHUNK)
    if not data.startswith(_GZIP_MAGIC):
        return
    member = zlib.decompressobj(31)
    while data:
        member.decompress(data)
        data = file.read(_CHUNK) if not member.eof else member.unused_data or file.read(_CHUNK)
        if member.eof and data:
            member = zlib.decompressobj(31)
    if not member.eof:
        raise EOFError("it ends within a record")


def _unpacked(body: bytes, transfer: str, coding: str) -> bytes:
    """A body without the codings that it was sent in; archives often keep the headers and not the codings."""
    if "chunked" in transfer:
        body = _decoded("ChunkedReader", body)
    for name in reversed([part.strip() for part in coding.split(",")]):
        if name in ("gzip", "x-gzip", "deflate"):
            body = _inflated(body)
        elif name in ("br", "zstd"):
            body = _decoded({"br": "BrotliReader", "zstd": "ZstdReader"}[name], body)
    return body


def _decoded(reader: str, body: bytes) -> bytes:
    from fastwarc import stream_io

    try:
        decoded: bytes = getattr(stream_io, reader)(io.BytesIO(body)).read(MAX_BYTES + 1)
        return decoded or body
    except OSError:
        return body


def _inflated(body: bytes) -> bytes:
    for window in (47, -15):  # gzip and zlib, told by their heads; the bare stream that some servers send
        try:
            return zlib.decompressobj(window).decompress(body, MAX_BYTES + 1) or body
        except zlib.error:
            continue
    return body
