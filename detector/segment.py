"""A page -> its text blocks in document order, with the structure around them where the page is HTML.

A block is the own text of one block-level element: the text between the starts and ends of such elements, white space
collapsed. Two ``<br>`` in a row end a block too. Hidden elements count, since banners are often hidden until a script
shows them. Of plain text, a block is a paragraph or a line.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from detector import native
from detector.encoding import decode, decode_plain_utf8
from detector.page import PageError

Int32: TypeAlias = NDArray[np.int32]

MAX_CHARACTERS = 20_000_000
"""Longer pages are refused: no article is that long, and the parser needs some 30 bytes a character."""

MAX_BLOCKS = 200_000
"""Pages of more blocks are refused: no page has them, and judging them would take gigabytes."""

MAX_ABOVE = 10_000_000
"""Pages whose blocks have more elements above them, counted for each block, are refused: that many steps their XPaths
would have."""

MAX_DEPTH = 5_000
"""More elements open at once are refused: the parser's time grows with the square of the depth."""

MAX_REOPENED = 3_000_000
"""More formatting elements open at once, times tags, are refused: the parser may open each again in every paragraph."""

MAX_ATTRIBUTES = 2_000
"""More attributes on one tag are refused: the parser compares each with all before it."""

_BLOCK_TAGS = frozenset(
    "address article aside blockquote body button caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html label legend li "
    "listing main menu nav ol optgroup option p plaintext pre search section summary table tbody td tfoot "
    "th thead tr ul xmp".split()
)
_SKIPPED_TAGS = frozenset("script style noscript head svg iframe object embed select textarea template".split())
_TELLING_ATTRIBUTES = ("class", "id", "role", "aria-label", "href")

_FORMATTING_TAGS = frozenset("a b big code em font i nobr s small strike strong tt u".split())
# Elements without an end tag; also those whose end tag is often left out and that the next one of their kind ends.
_VOID_TAGS = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li option dt dd tr td th "
    "thead tbody tfoot".split()
)
_WITHOUT_CONTENT = frozenset(
    "area base basefont bgsound col embed frame hr img input keygen link meta param source track wbr".split()
)
_RAW_TAGS = frozenset(("script", "style", "iframe"))
# The standard's serialiser writes these so that what was inside cannot always be read back as it was.
_UNREADABLE_TAGS = frozenset(("math", "noembed", "noframes", "plaintext", "xmp"))
_TAG = re.compile(r"<(/?)([a-z][a-z0-9:-]*)", re.IGNORECASE)
_NOT_MARKUP = re.compile(r"<script\b.*?</script|<style\b.*?</style|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_WHOLE_TAG = re.compile(rb"<[a-z](?:[^>\"'=]|=\s*\"[^\"]*\"|=\s*'[^']*'|[=\"'])*", re.IGNORECASE)
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_QUOTE = '"'
_LONG_TAG = 10_000  # bytes

_HTML_START = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype|!--|[a-z][a-z0-9-]*[\s/>])", re.IGNORECASE)
_HTML_INSIDE = re.compile(r"<(?:!doctype\s+html|html[\s>]|body[\s>])", re.IGNORECASE)
_HTML_INSIDE_WITHIN = 4_096  # characters

_WRAP_WIDTH = 120  # characters; text whose lines are longer was not wrapped by hand or by a mail program
_BLANK_LINES = re.compile(r"(?:\r\n|\n|\r(?!\n))[^\S\r\n]*(?:(?:\r\n|\n|\r(?!\n))[^\S\r\n]*)+")
_LINE = re.compile(r"[^\r\n\x0b\x0c\x85\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Structure:
    """The elements of an HTML page, in document order, and which of them stand around each block.

    One entry an element: ``parent``, the index of its parent (-1 for the root); ``depth``, how many elements it stands
    in; ``tag``, index into ``tags``; ``signature``, index into ``signatures``, which are tags with the values of the
    attributes that tell what an element is for. One entry a block: ``element`` whose text it is; ``inside``, (n_blocks,
    2), the first and one past the last element that opened inside the block; ``link_characters``, how many of its
    characters are links. All are int32.
    """

    parent: Int32
    depth: Int32
    tag: Int32
    signature: Int32
    tags: list[str]
    signatures: list[str]
    element: Int32
    inside: Int32
    link_characters: Int32

    def xpaths(self) -> list[str]:
        """The XPath of each block's element, in the tree that the HTML standard's parser builds."""
        if native.LIBRARY is not None:
            return native.xpaths(native.LIBRARY, self.parent, self.tag, self.tags, self.element)
        parents, tags, numbers = self.parent.tolist(), self.tag.tolist(), self._numbers().tolist()
        paths: dict[int, str] = {-1: ""}

        def path(element: int) -> str:
            chain = []
            while element not in paths:
                chain.append(element)
                element = parents[element]
            for below in reversed(chain):
                paths[below] = f"{paths[element]}/{self.tags[tags[below]]}[{numbers[below]}]"
                element = below
            return paths[element]

        return [path(element) for element in self.element.tolist()]

    def _numbers(self) -> Int32:
        """(n_elements,) how many elements of the same tag and parent there are up to each, itself counted."""
        key = (self.parent + 1).astype(np.int64) * len(self.tags) + self.tag
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        number = np.empty(len(key), np.int32)
        number[order] = np.arange(1, len(key) + 1) - np.repeat(first, np.diff(first, append=len(key)))
        return number


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a tree: one for each element, and for each block its text nodes with the element of each."""

    elements: list[LexborNode]
    texts: list[list[tuple[LexborNode, int]]]


@dataclass(frozen=True, slots=True)
class Segmented:
    """The blocks of one page: ``texts``, and for plain text ``spans`` into the input, for HTML the ``structure``."""

    texts: list[str]
    spans: list[tuple[int, int]] | None = None
    structure: Structure | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A page that was read: its ``text``, and the same in UTF-8 where the page came so."""

    text: str
    utf8: bytes | None = None


def read(page: bytes | str) -> Source:
    """The page decoded and checked.

    Raises
    ------
    PageError
        The page is empty, binary, or larger than ``MAX_CHARACTERS``.
    """
    _refuse_size((len(page) + 3) // 4 if isinstance(page, bytes) else len(page))  # at most four bytes a character
    source = Source(page) if isinstance(page, str) else _decoded(page)
    _refuse_size(len(source.text))
    if not source.text or source.text.isspace():
        raise PageError("the page is empty")
    return source


def _refuse_size(characters: int) -> None:
    if characters > MAX_CHARACTERS:
        raise PageError(f"the page is larger than {MAX_CHARACTERS:,} characters")


def _decoded(page: bytes) -> Source:
    text = decode_plain_utf8(page)
    source = Source(decode(page)) if text is None else Source(text, page)
    # No encoding of the web has NUL bytes in running text once it is decoded, and every binary format has them early.
    if "\0" in source.text[:1024] or page.startswith(
        (b"%PDF-", b"\x1f\x8b", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
    ):
        raise PageError("the page is binary data, neither HTML nor text")
    return source


def segment(source: Source, kind: str) -> Segmented:
    """Cut a page that was read into blocks.

    Parameters
    ----------
    source : Source
    kind : {"html", "text"}
        What the page is, see `sniff_kind`.

    Raises
    ------
    PageError
        The page is without text, of more than ``MAX_BLOCKS`` blocks or ``MAX_ABOVE`` elements above them, or built to
        stall a parser.
    """
    cut = segment_html(source.text, source.utf8) if kind == "html" else segment_text(source.text)
    if not cut.texts:
        raise PageError("the page has no text")
    if len(cut.texts) > MAX_BLOCKS:
        raise PageError(f"the page has more than {MAX_BLOCKS:,} paragraphs: is it many pages in one? Split it")
    if cut.structure and cut.structure.depth[cut.structure.element].sum() > MAX_ABOVE:
        raise PageError(f"the page's paragraphs stand in more than {MAX_ABOVE:,} elements, counted for each")
    return cut


def sniff_kind(text: str) -> str:
    """``"html"`` where the text begins with a tag, or has a document's tags near its start; else ``"text"``."""
    if _HTML_START.match(text.removeprefix("\ufeff")) or _HTML_INSIDE.search(text, 0, _HTML_INSIDE_WITHIN):
        return "html"
    return "text"


def segment_text(text: str) -> Segmented:
    """Cut plain text into paragraphs; ``spans`` are character offsets into ``text``.

    Paragraphs are parted by blank lines. Where there are none, or where lines are too long to have been wrapped by
    hand, each line is a paragraph of its own.
    """
    texts, spans = [], []
    for start, stop in _lines(text) if _line_is_paragraph(text) else _paragraphs(text):
        block = " ".join(text[start:stop].split())
        if _has_word(block):
            lead = len(text[start:stop]) - len(text[start:stop].lstrip())
            texts.append(block)
            spans.append((start + lead, start + lead + len(text[start:stop].strip())))
    return Segmented(texts, spans=spans)


def _line_is_paragraph(text: str) -> bool:
    if not _BLANK_LINES.search(text.strip()):
        return True
    lengths = [len(line) for line in text.splitlines()]
    return sum(n for n in lengths if n > _WRAP_WIDTH) * 2 > sum(lengths)


def _lines(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _LINE.finditer(text)]


def _paragraphs(text: str) -> list[tuple[int, int]]:
    breaks = [match.span() for match in _BLANK_LINES.finditer(text)]
    starts = [0, *(stop for _, stop in breaks)]
    stops = [*(start for start, _ in breaks), len(text)]
    return list(zip(starts, stops, strict=True))


def segment_html(html: str, utf8: bytes | None = None) -> Segmented:
    """Cut an HTML page into the own texts of its block-level elements, in document order.

    Parameters
    ----------
    html : str
    utf8 : bytes, optional
        The same in UTF-8, where it is at hand.

    Raises
    ------
    PageError
        The page is built to stall a parser.
    """
    tree = parse(html, utf8)
    if native.LIBRARY is not None:
        cut = _walk_serialised(native.LIBRARY, _utf8(_serialised(tree)))
        if cut is not None:
            return cut
    return walk_tree(tree)[0]


def parse(html: str, utf8: bytes | None = None) -> LexborHTMLParser:
    """The parsed page. Raises PageError where parsing it would take more than seconds."""
    data = utf8 or _utf8(html)
    _refuse_stalling(html, data)
    return LexborHTMLParser(data, options=LexborDocumentOptions.WO_EVENTS)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates
        return text.encode("utf-8", "replace")


def _has_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _serialised(tree: LexborHTMLParser) -> str:
    """The tree as the parser serialises it, without the head: a fifth of most pages, and not shown."""
    root, body = tree.root, tree.body
    child = root.first_child if root is not None else None
    others = 0
    while child is not None:
        others += child.tag not in ("head", "body", "-comment") and not (child.text_content or "").isspace()
        child = child.next
    if root is None or body is None or others:
        return tree.html or ""
    values = [(name, value) for name, value in root.attributes.items() if value]
    attributes = [f' {name}="{value.replace("&", "&amp;").replace(_QUOTE, "&quot;")}"' for name, value in values]
    return f"<html{''.join(attributes)}>{body.html}</html>"


def _walk_serialised(library: ctypes.CDLL, html: bytes) -> Segmented | None:
    """What `walk_tree` does, by the compiled part, which reads the tree as the parser serialises it, where it can."""
    walked = native.walk(library, html, *_known_elements())
    if walked is None:
        return None
    texts, tags, signatures, arrays = walked
    parent, depth, tag, signature, element, first, last, link_characters = arrays
    told = [text[0].isalnum() or _has_word(text) for text in texts]
    inside = np.stack((first, last), axis=1)
    if not all(told):
        texts = [text for text, tells in zip(texts, told, strict=True) if tells]
        element, inside, link_characters = element[told], inside[told], link_characters[told]
    return Segmented(
        texts,
        structure=Structure(parent, depth, tag, signature, tags, signatures, element, inside, link_characters),
    )


@cache
def _known_elements() -> tuple[bytes, NDArray[np.uint8]]:
    """The names and flags for `native.walk`."""
    kinds = (
        (native.BLOCK, _BLOCK_TAGS),
        (native.SKIPPED, _SKIPPED_TAGS),
        (native.VOID, _WITHOUT_CONTENT),
        (native.RAW, _RAW_TAGS),
        (native.LINK, {"a"}),
        (native.BREAK, {"br"}),
        (native.UNREADABLE, _UNREADABLE_TAGS),
    )
    names = sorted(frozenset().union(*(tags for _, tags in kinds)))
    flags = [sum(flag for flag, tags in kinds if name in tags) for name in names]
    return "".join(f"{name}\0" for name in names).encode(), np.array(flags, np.uint8)


def walk_tree(tree: LexborHTMLParser, keep_nodes: bool = False) -> tuple[Segmented, Nodes]:
    """Cut a parsed page; with its nodes for a caller who changes the tree."""
    # One pass that fills flat lists, in one function, as its loop runs some thousand times a page.
    texts: list[str] = []
    parent: list[int] = []
    depth: list[int] = []
    tag_of: list[int] = []
    signature: list[int] = []
    blocks: list[tuple[int, int, int, int]] = []
    tags: dict[str, int] = {}
    signatures: dict[str, int] = {}
    kept = Nodes([], [])
    pieces: list[str] = []
    nodes: list[tuple[LexborNode, int]] = []
    own, opened, link_characters, breaks, links = -1, 0, 0, 0, 0

    def end_block() -> None:
        nonlocal nodes, link_characters
        text = " ".join("".join(pieces).split())
        pieces.clear()
        if _has_word(text):
            texts.append(text)
            blocks.append((own, opened, len(parent), link_characters))
            if keep_nodes:
                kept.texts.append(nodes)
        nodes, link_characters = [], 0

    node: LexborNode | None = tree.root
    stack: list[tuple[LexborNode, int, int, bool]] = []  # (node, outer block's element or -2, outer element, a link?)
    element = -1
    while node is not None:
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            if text and not text.isspace():
                pieces.append(text)
                breaks = 0
                if links:
                    link_characters += len(text)
                if keep_nodes:
                    nodes.append((node, element))
            elif pieces:  # a block does not begin with white space
                pieces.append(" ")
        elif tag == "br":
            breaks += 1
            if pieces:
                pieces.append(" ")
                if breaks == 2:
                    end_block()
                    opened = len(parent)
        elif tag and tag not in _SKIPPED_TAGS and tag[0] not in "-!":
            is_block = tag in _BLOCK_TAGS
            if is_block:
                if pieces:
                    end_block()
                breaks = 0
            index = len(parent)
            parent.append(element)
            depth.append(len(stack))
            tag_of.append(tags.setdefault(tag, len(tags)))
            telling = tag
            for name, value in node.attributes.items():
                if value and name in _TELLING_ATTRIBUTES:
                    telling = f"{telling} {value}"
            signature.append(signatures.setdefault(telling, len(signatures)))
            if keep_nodes:
                kept.elements.append(node)
            child = node.first_child
            if child is not None:
                is_link = tag == "a"
                stack.append((node, own if is_block else -2, element, is_link))
                links += is_link
                element = index
                if is_block:
                    own, opened = index, index + 1
                node = child
                continue
            if is_block:
                opened = index + 1
        following = node.next
        while following is None and stack:
            node, outer, element, is_link = stack.pop()
            links -= is_link
            if outer != -2:
                if pieces:
                    end_block()
                breaks, own, opened = 0, outer, len(parent)
            following = node.next
        node = following
    if pieces:
        end_block()
    of_block = np.array(blocks, np.int32).reshape(-1, 4)
    structure = Structure(
        parent=np.array(parent, np.int32),
        depth=np.array(depth, np.int32),
        tag=np.array(tag_of, np.int32),
        signature=np.array(signature, np.int32),
        tags=list(tags),
        signatures=list(signatures),
        element=of_block[:, 0].copy(),
        inside=of_block[:, 1:3].copy(),
        link_characters=of_block[:, 3].copy(),
    )
    return Segmented(texts, structure=structure), kept


def _refuse_stalling(html: str, data: bytes) -> None:
    """Raise PageError where the page, also given in UTF-8, is of a kind that stalls the parser."""
    _refuse_size(len(html))
    if native.LIBRARY is None:
        tags, open_at_once, attributes = _count_tags(data)
    else:
        tags, open_at_once, attributes = native.count_tags(native.LIBRARY, data, _LONG_TAG)
    if open_at_once > MAX_DEPTH or open_at_once * tags > MAX_REOPENED:
        _refuse_nesting(html, tags)
    if attributes > MAX_ATTRIBUTES:
        raise PageError(f"the page has a tag with more than {MAX_ATTRIBUTES:,} attributes")


def _count_tags(data: bytes) -> tuple[int, int, int]:
    """What `native.count_tags` counts."""
    codes = np.frombuffer(data, np.uint8)
    starts = np.flatnonzero(codes == ord("<"))
    if not len(starts):
        return 0, 0, 0
    closing = np.concatenate((codes, [0])).take(starts + 1) == ord("/")
    open_at_once = max(0, int(np.cumsum(1 - 2 * closing.astype(np.int64)).max()))
    gaps = np.diff(starts, append=len(codes))
    tags = (_WHOLE_TAG.match(data, start) for start in starts[gaps > _LONG_TAG].tolist())
    attributes = (len(_QUOTED.sub(b"", tag[0]).split()) - 1 for tag in tags if tag and len(tag[0]) > _LONG_TAG)
    return len(starts), open_at_once, max(attributes, default=0)


def _refuse_nesting(html: str, tags: int) -> None:
    depth = formatting = 0
    for slash, name in _TAG.findall(_NOT_MARKUP.sub("", html)):
        name = name.lower()
        step = -1 if slash else 1
        if name in _VOID_TAGS:
            continue
        depth = max(0, depth + step)
        if name in _FORMATTING_TAGS:
            formatting = max(0, formatting + step)
        if depth > MAX_DEPTH:
            raise PageError(f"the page has more than {MAX_DEPTH:,} elements open at once")
        if formatting * tags > MAX_REOPENED:
            raise PageError(f"the page has {formatting} formatting elements open at once")
