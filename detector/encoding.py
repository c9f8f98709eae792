"""Bytes -> str, by the steps of the WHATWG encoding sniffing algorithm.

Source: HTML Living Standard, 13.2.3 "The input byte stream", and the Encoding Standard's labels (webencodings).
"""

from __future__ import annotations

import re

import webencodings

PRESCAN_BYTES = 1024
# `<meta ... charset=X>` and `<meta http-equiv=content-type content="...; charset=X">` differ only in quoting.
_META = re.compile(rb"<meta[\s/][^>]*?charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)


def sniff(data: bytes, charset: str | None = None) -> webencodings.Encoding:
    """The encoding of a page's bytes.

    The steps, first hit wins: byte order mark, ``charset`` of the HTTP header, ``<meta>`` in the first 1,024 bytes,
    UTF-8 where all bytes are valid UTF-8, windows-1252. Unknown labels are passed over.
    """
    bom = _bom(data)
    if bom:
        return bom
    declared = (webencodings.lookup(charset) if charset else None) or _declared(data)
    if declared:
        return declared
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return webencodings.lookup("windows-1252")
    return webencodings.UTF8


def decode(data: bytes, charset: str | None = None) -> str:
    """A page's bytes as text; bytes that are invalid in its encoding become U+FFFD, as in a browser."""
    text = decode_plain_utf8(data) if charset is None else None
    if text is None:
        text = webencodings.decode(data, sniff(data, charset), errors="replace")[0]
    return text


def decode_plain_utf8(data: bytes) -> str | None:
    """A page's bytes as text where they are valid UTF-8 without a mark, and nothing says that they are not UTF-8."""
    if _bom(data) or (_declared(data) or webencodings.UTF8) != webencodings.UTF8:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _bom(data: bytes) -> webencodings.Encoding | None:
    for mark, label in ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le")):
        if data.startswith(mark):
            return webencodings.lookup(label)
    return None


def _declared(data: bytes) -> webencodings.Encoding | None:
    head = _COMMENT.sub(b"", data[:PRESCAN_BYTES])
    for match in _META.finditer(head):
        encoding = webencodings.lookup(match[1].decode("latin-1"))
        if encoding is None:
            continue
        # A page whose ASCII <meta> could be read is not UTF-16, and x-user-defined stands for windows-1252 there.
        stand_in = {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}
        return webencodings.lookup(stand_in.get(encoding.name, encoding.name))
    return None
