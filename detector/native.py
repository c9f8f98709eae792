"""The compiled part, native.c, called through ctypes; where it was not built, numpy and Python do the same work.

Both ways give the same blocks and, since the first stage's sums are whole numbers, the same scores to the last bit.
"""

from __future__ import annotations

import ctypes
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int32: TypeAlias = NDArray[np.int32]

BLOCK, SKIPPED, VOID, RAW, LINK, BREAK, UNREADABLE = 1, 2, 4, 8, 16, 32, 64
"""What `walk` has to know of an element, as in native.c."""


def _load() -> ctypes.CDLL | None:
    source = Path(__file__).with_name("native.c")
    try:
        # Named by its source, so that a library of another version is never called.
        library = ctypes.CDLL(str(source.with_name(f"_native_{zlib.crc32(source.read_bytes()):08x}.so")))
    except OSError:  # not built, or for another machine
        return None
    library.xpaths.restype = library.context.restype = ctypes.c_int64
    return library


LIBRARY = _load()
"""The compiled part, or None."""


def count_tags(library: ctypes.CDLL, html: bytes, long_tag: int = 1 << 62) -> tuple[int, int, int]:
    """How many ``<`` there are, the most elements open at once if all had end tags, and the most attributes of a tag of
    more than ``long_tag`` bytes."""
    counts = np.empty(3, np.int64)
    library.count_tags(html, _size(html), ctypes.c_int64(long_tag), _at(counts))
    tags, open_at_once, attributes = counts.tolist()
    return tags, open_at_once, attributes


def walk(
    library: ctypes.CDLL, html: bytes, names: bytes, flags: NDArray[np.uint8]
) -> tuple[list[str], list[str], list[str], list[NDArray[np.int32]]] | None:
    """Cut a page, as the parser serialises it, into blocks.

    Parameters
    ----------
    library : the compiled part
    html : bytes
        UTF-8, as the HTML standard's serialiser writes it.
    names, flags
        Elements that `walk` has to know, each ended by a NUL, and what they are: BLOCK, SKIPPED, VOID ...

    Returns
    -------
    None where the page has an UNREADABLE element; else
    texts, tags, signatures : lists of str
        The text of each block, and what the elements' arrays point into.
    arrays : parent, depth, tag and signature, an entry an element; element, first and last inside, and link
        characters, an entry a block; each int32.
    """
    count = count_tags(library, html)[0] + 1
    arrays = np.empty((8, count), np.int32)
    text = np.empty(len(html) + count + 1, np.uint8)
    tags = np.empty(len(html) + len(names), np.uint8)
    signatures = np.empty(len(html) + count, np.uint8)
    sizes = np.empty(5, np.int64)
    failed = library.walk(
        html,
        _size(html),
        _size(range(count - 1)),
        names,
        len(flags),
        _at(flags),
        *(_at(array) for array in (*arrays, text, tags, signatures, sizes)),
    )
    if failed < 0:
        raise MemoryError
    if failed:
        return None
    elements, blocks, *lengths = sizes.tolist()
    strings = [
        buffer[:length].tobytes().decode("utf-8", "replace").split(mark)[:-1]
        for buffer, length, mark in zip((text, tags, signatures), lengths, "\n\0\0", strict=True)
    ]
    return *strings, [*(row[:elements] for row in arrays[:4]), *(row[:blocks] for row in arrays[4:])]  # type: ignore[return-value]


def ngram_sums(
    library: ctypes.CDLL,
    raw: NDArray[np.uint32],
    lengths: NDArray[np.int64],
    most: int,
    code_table: NDArray[np.uint32],
    ngrams: tuple[tuple[int, ...], tuple[int, ...]],
    table: NDArray[np.int8],
) -> Int32:
    """(n_texts, columns of the table) as `detector.features.ngram_sums` has it.

    The texts stand one after another in ``raw``; of each the first ``most`` characters count. ``ngrams`` are the
    lengths in characters and in words.
    """
    rows, width = table.shape
    sums = np.empty((len(lengths), width), np.int32)
    codes = np.empty(most + 2, np.uint32)
    characters, words = (np.array(some, np.int32) for some in ngrams)
    library.ngram_sums(
        _at(raw),
        _at(lengths),
        _size(lengths),
        ctypes.c_int64(most),
        _at(code_table),
        _at(codes),
        _at(characters),
        len(characters),
        _at(words),
        len(words),
        _at(table),
        rows.bit_length() - 1,
        width,
        _at(sums),
    )
    return sums


def xpaths(library: ctypes.CDLL, parent: Int32, tag: Int32, tags: list[str], element: Int32) -> list[str]:
    """The XPath of each block's element, as `detector.segment.Structure.xpaths` has it."""
    names = "".join(f"{name}\0" for name in tags).encode("utf-8", "replace")
    starts = np.empty(len(tags) + 1, np.int64)
    number = np.empty(len(parent), np.int32)
    size = 200 * len(element)
    while True:
        paths = np.empty(size, np.uint8)
        written = library.xpaths(
            _at(parent),
            _at(tag),
            _size(parent),
            names,
            ctypes.c_int64(len(tags)),
            _at(starts),
            _at(element),
            _size(element),
            _at(number),
            _at(paths),
            _size(paths),
        )
        if written < 0:
            raise MemoryError
        if written <= size:
            return paths[:written].tobytes().decode("utf-8", "replace").split("\0")[:-1]
        size = written


def block_numbers(
    library: ctypes.CDLL,
    raw: NDArray[np.uint32],
    lengths: NDArray[np.int64],
    sign_table: NDArray[np.uint8],
    columns: int,
) -> NDArray[np.float32]:
    """(n_texts, columns) `detector.features.text_numbers` and the place of each text on the page, as
    `detector.context` has it; the texts stand one after another in ``raw``."""
    repeats, numbers = np.empty(len(lengths), np.int32), np.empty((len(lengths), columns), np.float32)
    if library.block_numbers(_at(raw), _at(lengths), _size(lengths), _at(sign_table), _at(repeats), _at(numbers)):
        raise MemoryError
    return numbers


def elements_around(
    library: ctypes.CDLL, parent: Int32, signature: Int32, element: Int32, inside: Int32, ancestors: int, most: int
) -> Int32:
    """(n_blocks, 1 + ancestors + most) as `detector.classifier.elements_around` has it."""
    around = np.empty((len(element), 1 + ancestors + most), np.int32)
    arrays = (parent, signature, element, inside)
    library.elements_around(*map(_at, arrays), _size(element), ancestors, most, _at(around))
    return around


def structure_scores(
    library: ctypes.CDLL,
    around: Int32,
    place_part: Int32,
    place_weight: NDArray[np.float32],
    sums: Int32,
    parts: int,
    scale: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(n_blocks, n_kinds) as `detector.classifier.structure_scores` has it; ``around`` points into ``sums``."""
    scores = np.tile(bias, (len(around), 1))
    library.structure_scores(
        _at(around),
        _size(around),
        around.shape[1],
        *map(_at, (place_part, place_weight, sums)),
        parts,
        len(bias),
        *map(_at, (scale, scores)),
    )
    return scores


@dataclass(frozen=True, slots=True)
class Html:
    """What `context` has to know of a page of HTML: fields of its structure, the lengths of its blocks, for each tag
    which of ``known_count`` known ones it is (or that number), and its blocks' structure scores and their shares."""

    lengths: NDArray[np.int64]
    link_characters: Int32
    element: Int32
    parent: Int32
    depth: Int32
    tag: Int32
    known: Int32
    known_count: int
    share: NDArray[np.float32]
    scores: NDArray[np.float32]


def context(
    library: ctypes.CDLL,
    settings: tuple[int, ...],
    limit: float,
    numbers: NDArray[np.float32],
    share: NDArray[np.float32],
    scores: NDArray[np.float32],
    html: Html | None,
) -> NDArray[np.float32]:
    """What the second stage sees, as `detector.context` has it.

    ``settings`` are the numbers of neighbours, of neighbours in structure, of container levels, and the widths of the
    windows.
    """
    neighbours, structure_neighbours, levels, *widths = settings
    rows, kinds = share.shape
    own = (len(widths) + 4) * kinds
    stride = numbers.shape[1] + own + 2 * neighbours * (kinds + 1)
    more: list[Any] = [None] * 6 + [ctypes.c_int64(0), None, ctypes.c_int64(0), None, None]
    if html is not None:
        stride += 2 + html.known_count + own + 2 * structure_neighbours * kinds + levels * (kinds + 1)
        arrays = (html.lengths, html.link_characters, html.element, html.parent, html.depth, html.tag)
        more = [
            *(_at(array) for array in arrays),
            _size(html.parent),
            _at(html.known),
            ctypes.c_int64(html.known_count),
        ]
        more += [_at(html.share), _at(html.scores)]
    features = np.empty((rows, stride), np.float32)
    written = library.context(
        ctypes.c_int64(rows),
        ctypes.c_int64(kinds),
        ctypes.c_float(limit),
        _at(np.array(settings, np.int64)),
        _size(widths),
        _at(numbers),
        ctypes.c_int64(numbers.shape[1]),
        _at(share),
        _at(scores),
        *more,
        _at(features),
        ctypes.c_int64(stride),
    )
    if written < 0:
        raise MemoryError
    return features


def _size(sized: Any) -> ctypes.c_int64:
    return ctypes.c_int64(len(sized))


def _at(array: NDArray[Any]) -> Any:
    if not array.flags.c_contiguous:
        raise ValueError("an array with gaps cannot be handed to the compiled part")
    if array.flags.writeable and array.size:  # the same pointer as below, in a third of the time
        return ctypes.byref(ctypes.c_char.from_buffer(array.data))
    return ctypes.c_void_p(array.ctypes.data)
