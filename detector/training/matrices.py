"""Labelled pages -> the arrays that the first stage is fitted on.

The sparse matrices hold raw counts of the columns that `detector.features.hash_ngrams` gives, so that what is fitted
is what is evaluated at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed

from detector.classifier import PLACE_PART, PLACE_WEIGHT, elements_around
from detector.features import Bool, Int, NgramSettings, hash_ngrams
from detector.page import KINDS
from detector.segment import Segmented, Structure
from detector.training.data import UNCLEAR, DataError, LabelledPage, page_hash, segmented, text_hash
from detector.training.words import words

_BATCH = 64  # pages; what one task of a worker process takes


@dataclass(frozen=True, slots=True)
class Corpus:
    """Labelled pages cut into blocks.

    ``kinds`` : (n_blocks,) index into KINDS, -1 for unclear.
    ``lengths`` : (n_blocks,) words.
    ``starts`` : (n_pages + 1,) where each page's blocks begin.
    ``groups`` : (n_pages,) index of each page's publisher.
    ``has_html`` : (n_pages,) whether the page was cut from HTML. Pages of bare text have the structure of a page whose
    blocks are all plain paragraphs, so that the second stage of HTML learns from their words too.
    """

    pages: list[LabelledPage]
    cuts: list[Segmented]
    kinds: Int
    lengths: Int
    starts: Int
    groups: Int
    has_html: Bool

    @property
    def page_of(self) -> Int:
        """(n_blocks,) the page of each block."""
        return np.repeat(np.arange(len(self.pages)), np.diff(self.starts))

    def page_hash(self, page: int) -> str:
        """What the page teaches, see `detector.training.data.page_hash`."""
        own = self.pages[page]
        kinds = self.kinds[self.starts[page] : self.starts[page + 1]]
        labels = [KINDS[kind] if kind >= 0 else UNCLEAR for kind in kinds]
        return page_hash(own.id, own.group, own.lang, list(map(text_hash, self.cuts[page].texts)), labels)


def read_corpus(pages: Sequence[LabelledPage], jobs: int) -> Corpus:
    """Cut all pages. Raises DataError where HTML cannot be read, or no page has text."""
    batches = [pages[at : at + _BATCH] for at in range(0, len(pages), _BATCH)]
    results = Parallel(jobs)(delayed(_cut)(batch) for batch in batches)
    rows = [row for result in results for row in result]
    # A page on which no block was found has nothing to learn from.
    found = [(page, row) for page, row in zip(pages, rows, strict=True) if row[0].texts]
    if not found:
        raise DataError("no page has any text")
    pages, rows = [page for page, _ in found], [row for _, row in found]
    starts = np.concatenate(([0], np.cumsum([len(cut.texts) for cut, _, _ in rows])))
    _, groups = np.unique([page.group for page in pages], return_inverse=True)
    return Corpus(
        pages=pages,
        cuts=[cut for cut, _, _ in rows],
        kinds=np.concatenate([kinds for _, kinds, _ in rows]),
        lengths=np.concatenate([lengths for _, _, lengths in rows]),
        starts=starts,
        groups=groups,
        has_html=np.array([page.html_file is not None for page in pages]),
    )


def text_matrix(corpus: Corpus, settings: NgramSettings) -> sp.csr_matrix:
    """(n_blocks, 2 ** bits) how often each n-gram stands in each block's text."""
    return sp.vstack([_counts(cut.texts, settings) for cut in corpus.cuts], format="csr")


def structure_matrices(corpus: Corpus, settings: NgramSettings) -> list[sp.csr_matrix]:
    """For each part of a block's structure: (n_blocks, 2 ** bits) the weight of each n-gram."""
    parts: list[list[sp.csr_matrix]] = [[], [], []]
    for cut in corpus.cuts:
        structure = structure_of(cut)
        ngrams = _counts(structure.signatures, settings)
        around = elements_around(structure)
        for part, rows in enumerate(parts):
            index, weight = around[:, part == PLACE_PART], PLACE_WEIGHT[part == PLACE_PART]
            block, place = np.nonzero(index >= 0)
            entries = (weight[place], (block, index[block, place]))
            rows.append(sp.csr_matrix(entries, shape=(len(index), ngrams.shape[0])) @ ngrams)
    return [sp.vstack(rows, format="csr") for rows in parts]


def structure_of(cut: Segmented) -> Structure:
    """The page's structure, or for bare text that of plain paragraphs."""
    if cut.structure is not None:
        return cut.structure
    count = len(cut.texts)
    first = 2
    element = np.arange(first, first + count, dtype=np.int32)
    tags = ["html", "body", "p"]
    tag = np.minimum(np.arange(first + count), 2).astype(np.int32)
    return Structure(
        parent=np.concatenate(([-1, 0], np.ones(count))).astype(np.int32),
        depth=tag,
        tag=tag,
        signature=tag,
        tags=tags,
        signatures=tags,
        element=element,
        inside=np.stack((element + 1, element + 1), axis=1),
        link_characters=np.zeros(count, np.int32),
    )


def _counts(texts: list[str], settings: NgramSettings) -> sp.csr_matrix:
    shape = (len(texts), 1 << settings.bits)
    total = sp.csr_matrix(shape, dtype=np.float32)
    for ngrams in hash_ngrams(texts, settings):
        ones = np.ones(len(ngrams.columns), np.float32)
        matrix = sp.csr_matrix((ones, ngrams.columns.astype(np.int32), ngrams.starts), shape=shape)
        matrix.sum_duplicates()
        total = total + matrix
    return total


def _cut(pages: Sequence[LabelledPage]) -> list[tuple[Segmented, Int, Int]]:
    index = {kind: number for number, kind in enumerate(KINDS)}
    rows = []
    for page in pages:
        cut, labels = segmented(page)
        kinds = np.array([index.get(label, -1) for label in labels], np.int64)
        lengths = np.array([len(words(text)) for text in cut.texts], np.int64)
        rows.append((cut, kinds, lengths))
    return rows
