"""Blocks -> arrays: hashed n-grams of their text and of the elements around them, and plain numbers.

All functions take a batch of texts at once and work on flat arrays: the batch is one array of character codes, an
n-gram is a span of it, and no Python loop runs over n-grams.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detector import native

Bool: TypeAlias = NDArray[np.bool_]
Int: TypeAlias = NDArray[np.int64]
UInt32: TypeAlias = NDArray[np.uint32]
Float: TypeAlias = NDArray[np.float32]

MAX_BLOCK_CHARACTERS = 1_000
"""A block is judged by its first 1,000 characters."""

MAX_LENGTH = 8
"""Of n-grams, in characters or words."""

_GAP, _END = 0, 1  # codes of what stands between words and between texts
_SEPARATOR = "\x1e"  # white space to str.split(), so that no block holds it
_BASE = 0x01000193  # odd, so that it has an inverse modulo 2 ** 32
_INVERSE = pow(_BASE, -1, 1 << 32)
_BMP = 1 << 16


@dataclass(frozen=True, slots=True)
class NgramSettings:
    """Which n-grams are hashed, into ``2 ** bits`` columns."""

    bits: int
    characters: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some texts, and their characters one after another: ``characters``, (n_characters,) uint32, and ``lengths``,
    (n_texts,) int64."""

    texts: list[str]
    characters: UInt32
    lengths: Int

    @classmethod
    def of(cls, texts: list[str]) -> Batch:
        """The batch of these texts."""
        characters = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), np.uint32)
        return cls(texts, characters, np.fromiter(map(len, texts), np.int64, len(texts)))


@dataclass(frozen=True, slots=True)
class Ngrams:
    """Hashed n-grams of one length of a batch of texts, in the layout of a sparse matrix's rows.

    ``columns`` : (n_ngrams,) int64, each below ``2 ** bits``.
    ``starts`` : (n_texts + 1,) int64; text i has ``columns[starts[i]:starts[i + 1]]``.
    """

    columns: Int
    starts: Int


def hash_ngrams(texts: list[str], settings: NgramSettings) -> list[Ngrams]:
    """Hash the n-grams of characters within words, and of words, of each text; one result a length.

    Letters are lowered, digits and currency signs count as one letter each, all else parts words. An n-gram is a span
    of the batch's codes; its hash is the span's polynomial modulo 2 ** 32, taken from prefix sums (Karp and Rabin,
    "Efficient randomized pattern-matching algorithms", 1987), then mixed (the finaliser of MurmurHash3).
    """
    codes = _codes(texts)
    powers, inverse = _powers(1 << len(codes).bit_length())
    prefix = np.zeros(len(codes) + 1, np.uint32)
    np.cumsum(codes * powers[: len(codes)], dtype=np.uint32, out=prefix[1:])
    gaps, ends = codes <= _END, codes == _END
    edges = np.concatenate(([0], np.flatnonzero(ends) + 1))
    shift = np.uint32(32 - settings.bits)

    def ngrams(first: Int, span: UInt32, salt: int) -> Ngrams:
        columns = _mix(span * inverse[first], salt) >> shift
        return Ngrams(columns.astype(np.int64), np.searchsorted(first, edges))

    found = []
    for n in settings.characters:
        first = np.flatnonzero(_within_word(gaps, ends, n))
        found.append(ngrams(first, prefix[first + n] - prefix[first], salt=n))
    word_first = np.flatnonzero(gaps[:-1] & ~gaps[1:]) + 1
    word_stop = np.flatnonzero(~gaps[:-1] & gaps[1:]) + 1
    for n in settings.words:
        first, stop = word_first[: len(word_first) - n + 1], word_stop[n - 1 :]
        if n > 1:
            together = np.searchsorted(edges, first, side="right") == np.searchsorted(edges, stop - 1, side="right")
            first, stop = first[together], stop[together]
        found.append(ngrams(first, prefix[stop] - prefix[first], salt=64 + n))
    return found


def ngram_sums(table: NDArray[np.int8], batch: Batch, settings: NgramSettings) -> NDArray[np.int32]:
    """Sum the rows of a table over the hashed n-grams of each text.

    Parameters
    ----------
    table : (2 ** bits, n_columns) int8
        The last column is read as unsigned.
    batch : Batch of n_texts
    settings : NgramSettings

    Returns
    -------
    (n_texts, n_columns) int32
    """
    if native.LIBRARY is not None:
        of = (settings.characters, settings.words)
        arrays = (batch.characters, batch.lengths)
        return native.ngram_sums(native.LIBRARY, *arrays, MAX_BLOCK_CHARACTERS, _code_table(), of, table)
    sums = np.zeros((len(batch.texts), table.shape[1]), np.int32)
    for ngrams in hash_ngrams(batch.texts, settings):
        some = np.flatnonzero(np.diff(ngrams.starts))
        if len(some):
            rows = table.take(ngrams.columns, axis=0).astype(np.int32)
            rows[:, -1] %= 256
            sums[some] += np.add.reduceat(rows, ngrams.starts[some], axis=0)
    return sums


@cache
def _powers(length: int) -> tuple[UInt32, UInt32]:
    """The powers of the hash's base, and of its inverse, modulo 2 ** 32."""
    powers = np.cumprod(np.full(length, _BASE, np.uint32), dtype=np.uint32)
    return powers, np.cumprod(np.full(length, _INVERSE, np.uint32), dtype=np.uint32)


def _mix(h: UInt32, salt: int) -> UInt32:
    """Let every bit of a hash depend on all of the span."""
    h ^= np.uint32(salt * 0x9E3779B1 & 0xFFFFFFFF)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def _within_word(gaps: Bool, ends: Bool, n: int) -> Bool:
    """Where an n-gram of characters starts that has no gap inside; a gap may be its first or last character."""
    size = max(len(gaps) - n + 1, 0)
    outside = ends[:size] | ends[n - 1 : n - 1 + size]
    for k in range(1, n - 1):
        outside |= gaps[k : k + size]
    return ~outside


def _codes(texts: list[str]) -> UInt32:
    """The batch as one array of codes, "gap text gap END" after "gap text gap END"; runs of gaps are one."""
    joined = " " + f" {_SEPARATOR} ".join([text[:MAX_BLOCK_CHARACTERS] for text in texts]) + f" {_SEPARATOR}"
    if joined.count(_SEPARATOR) != len(texts):  # attributes may hold it
        return _codes([text.replace(_SEPARATOR, " ") for text in texts])
    raw = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    codes = _code_table().take(raw, mode="clip")
    if raw.max() >= _BMP:
        codes = np.where(raw < _BMP, codes, raw)
    codes[raw == ord(_SEPARATOR)] = _END
    kept = codes != _GAP
    kept[1:] |= codes[:-1] != _GAP
    kept[0] = True
    without_runs: UInt32 = codes[kept]
    return without_runs


@cache
def _categories() -> NDArray[np.str_]:
    """(65,536,) the Unicode general category of each character, such as "Lu"."""
    return np.array([unicodedata.category(chr(code)) for code in range(_BMP)])


@cache
def _code_table() -> UInt32:
    """(65,536,) the code of each character: lower-case letters and marks themselves, the capitals' their small
    letters', one for digits, one for currency signs."""
    category = _categories()
    codes = np.zeros(_BMP, np.uint32)
    major = category.astype("U1")
    letters = np.flatnonzero((major == "L") | (major == "M"))
    codes[letters] = [ord(chr(letter).lower()[0]) for letter in letters]
    codes[major == "N"] = ord("0")
    codes[category == "Sc"] = ord("$")
    return codes


NUMBERS = (
    "log characters",
    "log spaces",
    "share of letters without case",
    "share of letters that are capitals",
    "share of digits",
    "share of other signs",
    "has currency",
    "has percent",
    "has question mark",
    "has exclamation mark",
    "has quotation mark",
    "has at sign",
    "has bar",
    "commas in ten characters",
    "full stops in ten characters",
    "ends in a full stop",
    "ends in a colon",
    "ends in a question or exclamation mark",
    "begins with a digit",
    "has eight digits or more",
)
"""The columns of `text_numbers`."""


_SIGN_CHARACTERS = {
    "percent": "%٪",
    "question": "?？؟;",
    "exclamation": "!！",
    "quotation": '"“”«»„「」',
    "at": "@",
    "bar": "|",
    "comma": ",，、،",
    "stop": ".…。।",
    "colon": ":：",
    "space": " ",
}
_SIGN_CATEGORIES = {
    "currency": ("Sc",),
    "letter": ("Ll", "Mn", "Mc", "Me"),
    "caseless": ("Lo", "Lm"),
    "capital": ("Lu", "Lt"),
    "digit": ("Nd",),
}
_SIGNS = ("other", *_SIGN_CHARACTERS, *_SIGN_CATEGORIES)
_SIGN = {name: number for number, name in enumerate(_SIGNS)}


def text_numbers(batch: Batch) -> Float:
    """Plain numbers of each text, (n_texts, len(NUMBERS)): its length, its signs, how it begins and ends."""
    length = batch.lengths
    signs = sign_table().take(batch.characters, mode="clip")
    stops = np.cumsum(length)
    owner = np.repeat(np.arange(0, len(length) * len(_SIGNS), len(_SIGNS)), length)
    table = np.bincount(owner + signs, minlength=len(length) * len(_SIGNS)).reshape(-1, len(_SIGNS))
    count = dict(zip(_SIGNS, table.T.astype(np.float32), strict=True))
    first, last = signs[stops - length], signs[stops - 1]
    size = length.astype(np.float32)
    letters = count["letter"] + count["capital"] + count["caseless"]
    other = size - letters - count["digit"] - count["space"]
    letters = np.maximum(letters, 1)
    return np.stack(
        [
            np.log1p(length),
            np.log1p(count["space"].astype(np.float64)),
            count["caseless"] / letters,
            count["capital"] / letters,
            count["digit"] / size,
            other / size,
            *(count[name] > 0 for name in ("currency", "percent", "question", "exclamation", "quotation", "at", "bar")),
            10 * count["comma"] / size,
            10 * count["stop"] / size,
            last == _SIGN["stop"],
            last == _SIGN["colon"],
            (last == _SIGN["question"]) | (last == _SIGN["exclamation"]),
            first == _SIGN["digit"],
            count["digit"] >= 8,
        ],
        axis=1,
        dtype=np.float32,
        casting="unsafe",
    )


@cache
def sign_table() -> NDArray[np.uint8]:
    """(65,536,) the sign that each character is; characters beyond count as the last, a noncharacter."""
    table = np.zeros(_BMP, np.uint8)
    for name, characters in _SIGN_CHARACTERS.items():
        table[list(map(ord, characters))] = _SIGN[name]
    for name, categories in _SIGN_CATEGORIES.items():
        table[np.isin(_categories(), categories)] = _SIGN[name]
    return table
