"""A page -> its text blocks in document order, with the structure around them where the page is HTML.

A block is the own text of one block-level element: the text between the starts and ends of such elements, white space
collapsed. Two ``<br>`` in a row end a block too. Hidden elements count, since banners are often hidden until a script
shows them. Of plain text, a block is a paragraph or a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from detector.encoding import decode
from detector.page import PageError

MAX_CHARACTERS = 20_000_000
"""Longer pages are refused: no article is that long, and the parser needs some 30 bytes a character."""

MAX_BLOCKS = 200_000
"""Pages of more blocks are refused: no page has them, and judging them would take gigabytes."""

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
_TELLING_ATTRIBUTES = frozenset(("class", "id", "role", "aria-label", "href"))

_FORMATTING_TAGS = frozenset("a b big code em font i nobr s small strike strong tt u".split())
# Elements without an end tag; also those whose end tag is often left out and that the next one of their kind ends.
_VOID_TAGS = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li option dt dd tr td th "
    "thead tbody tfoot".split()
)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9:-]*)", re.IGNORECASE)
_NOT_MARKUP = re.compile(r"<script\b.*?</script|<style\b.*?</style|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_WHOLE_TAG = re.compile(rb"<[a-z](?:[^>\"'=]|=\s*\"[^\"]*\"|=\s*'[^']*'|[=\"'])*", re.IGNORECASE)
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
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

    ``parent``, ``depth``, ``tag`` and ``signature`` have one entry an element: the index of its parent (-1 for the
    root), how many elements it stands in, its tag, and its tag with the attributes that tell what it is for. The other
    fields have one entry a block: the element whose text it is, the first and one past the last element that opened
    inside the block, and the number of its characters that are links. Where nodes were asked for, there is a node for
    each element, and for each block its text nodes with the element that each stands in.
    """

    parent: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    tag: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    element: list[int] = field(default_factory=list)
    inside: list[tuple[int, int]] = field(default_factory=list)
    link_characters: list[int] = field(default_factory=list)
    element_nodes: list[LexborNode] = field(default_factory=list)
    text_nodes: list[list[tuple[LexborNode, int]]] = field(default_factory=list)

    def xpaths(self) -> list[str]:
        """The XPath of each block's element, in the tree that the HTML standard's parser builds."""
        seen: dict[tuple[int, str], int] = {}
        number = []
        for key in zip(self.parent, self.tag, strict=True):
            count = seen[key] = seen.get(key, 0) + 1
            number.append(count)
        paths: dict[int, str] = {-1: ""}

        def path(element: int) -> str:
            chain = []
            while element not in paths:
                chain.append(element)
                element = self.parent[element]
            for below in reversed(chain):
                paths[below] = f"{paths[element]}/{self.tag[below]}[{number[below]}]"
                element = below
            return paths[element]

        return [path(element) for element in self.element]


@dataclass(frozen=True, slots=True)
class Segmented:
    """The blocks of one page: ``texts``, and for plain text ``spans`` into the input, for HTML the ``structure``."""

    texts: list[str]
    spans: list[tuple[int, int]] | None = None
    structure: Structure | None = None


def segment(page: bytes | str, kind: str | None = None) -> Segmented:
    """Cut a page into blocks.

    Parameters
    ----------
    page : bytes or str
        HTML or plain text.
    kind : {"html", "text"}, optional
        What the page is. Told by its content unless given.

    Raises
    ------
    PageError
        The page is empty, binary, without text, larger than ``MAX_CHARACTERS``, of more than ``MAX_BLOCKS`` blocks, or
        built to stall a parser.
    """
    text = as_text(page)
    cut = segment_html(text) if (kind or sniff_kind(text)) == "html" else segment_text(text)
    if not cut.texts:
        raise PageError("the page has no text")
    if len(cut.texts) > MAX_BLOCKS:
        raise PageError(f"the page has more than {MAX_BLOCKS:,} paragraphs: is it many pages in one? Split it")
    return cut


def as_text(page: bytes | str) -> str:
    """The page decoded and checked: neither empty nor binary nor too large."""
    if len(page) > MAX_CHARACTERS * (4 if isinstance(page, bytes) else 1):
        raise PageError(f"the page is larger than {MAX_CHARACTERS:,} characters")
    text = page if isinstance(page, str) else _decode(page)
    if len(text) > MAX_CHARACTERS:
        raise PageError(f"the page is larger than {MAX_CHARACTERS:,} characters")
    if not text or text.isspace():
        raise PageError("the page is empty")
    return text


def _decode(page: bytes) -> str:
    text = decode(page)
    # No encoding of the web has NUL bytes in running text once it is decoded, and every binary format has them early.
    if "\0" in text[:1024] or page.startswith(
        (b"%PDF-", b"\x1f\x8b", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
    ):
        raise PageError("the page is binary data, neither HTML nor text")
    return text


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


def segment_html(html: str) -> Segmented:
    """Cut an HTML page into the own texts of its block-level elements, in document order.

    Raises
    ------
    PageError
        The page is built to stall a parser.
    """
    return walk(parse(html))


def parse(html: str) -> LexborHTMLParser:
    """The parsed page. Raises PageError where parsing it would take more than seconds."""
    try:
        data = html.encode()
    except UnicodeEncodeError:  # lone surrogates
        data = html.encode("utf-8", "replace")
    _refuse_stalling(html, data)
    return LexborHTMLParser(data, options=LexborDocumentOptions.WO_EVENTS)


def _has_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def walk(tree: LexborHTMLParser, keep_nodes: bool = False) -> Segmented:
    """Cut a parsed page; with its nodes in the structure for a caller who changes the tree."""
    # One pass that fills flat lists, in one function, as its loop runs some thousand times a page.
    structure, texts = Structure(), []
    parent, depth, tag_of, signature = structure.parent, structure.depth, structure.tag, structure.signature
    pieces: list[str] = []
    nodes: list[tuple[LexborNode, int]] = []
    own, opened, link_characters, breaks, links = -1, 0, 0, 0, 0

    def end_block() -> None:
        nonlocal nodes, link_characters
        text = " ".join("".join(pieces).split())
        pieces.clear()
        if _has_word(text):
            texts.append(text)
            structure.element.append(own)
            structure.inside.append((opened, len(parent)))
            structure.link_characters.append(link_characters)
            if keep_nodes:
                structure.text_nodes.append(nodes)
        nodes, link_characters = [], 0

    node: LexborNode | None = tree.root
    stack: list[tuple[LexborNode, int, int, bool]] = []  # (node, outer block's element or -2, outer element, a link?)
    element = -1
    while node is not None:
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            if not text.isspace():
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
            tag_of.append(tag)
            telling = tag
            for name, value in node.attributes.items():
                if value and name in _TELLING_ATTRIBUTES:
                    telling = f"{telling} {value}"
            signature.append(telling)
            if keep_nodes:
                structure.element_nodes.append(node)
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
    return Segmented(texts, structure=structure)


def _refuse_stalling(html: str, data: bytes) -> None:
    """Raise PageError where the page, also given in UTF-8, is of a kind that stalls the parser."""
    if len(html) > MAX_CHARACTERS:
        raise PageError(f"the page is larger than {MAX_CHARACTERS:,} characters")
    codes = np.frombuffer(data, np.uint8)
    starts = np.flatnonzero(codes == ord("<"))
    if not len(starts):
        return
    closing = codes.take(starts + 1, mode="clip") == ord("/")
    open_at_once = int(np.cumsum(1 - 2 * closing.astype(np.int64)).max())
    if open_at_once > MAX_DEPTH or open_at_once * len(starts) > MAX_REOPENED:
        _refuse_nesting(html, len(starts))
    for start in starts[np.diff(starts, append=len(codes)) > _LONG_TAG].tolist():
        tag = _WHOLE_TAG.match(data, start)
        if tag and len(tag[0]) > _LONG_TAG and len(_QUOTED.sub(b"", tag[0]).split()) > MAX_ATTRIBUTES:
            raise PageError(f"the page has a tag with more than {MAX_ATTRIBUTES:,} attributes")


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
