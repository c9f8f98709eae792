"""The block among its neighbours: first-stage scores of a whole page -> what the second stage sees of each block.

All functions take one page at a time, so that a page's scores do not depend on the batch it came in.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from detector import native
from detector.features import NUMBERS, Batch, Float, Int, sign_table, text_numbers
from detector.segment import Int32, Structure

NEIGHBOURS = 4
"""How many blocks before and after a block are seen one by one."""

STRUCTURE_NEIGHBOURS = 2
WINDOWS = (2, 7, 20)
"""How many blocks on each side are seen as a mean."""

CONTAINER_LEVELS = 4
"""How many elements above a block's own are seen as the mean of the blocks directly or indirectly below."""

POSITIONS = 6
"""How many numbers tell where a block stands."""

_TAGS = {
    tag: number
    for number, tag in enumerate("p div li button h1 h2 h3 h4 td label figcaption blockquote dd section".split())
}
_LOGIT_LIMIT = 8.0


def text_context(batch: Batch, scores: Float) -> Float:
    """What the second stage sees of each block of bare text.

    Parameters
    ----------
    batch : Batch of the texts of the n_blocks of one page
    scores : (n_blocks, n_kinds) float32
        First-stage scores of the text: log odds of each kind.

    Returns
    -------
    (n_blocks, n_features) float32
    """
    return _context(batch, scores, None)


def html_context(batch: Batch, scores: Float, structure: Structure, structure_scores: Float) -> Float:
    """What the second stage sees of each block of HTML: `text_context`, and the same of the elements around.

    Parameters
    ----------
    batch, scores
        As for `text_context`.
    structure : Structure of the page
    structure_scores : (n_blocks, n_kinds) float32
        First-stage scores of the elements around each block.

    Returns
    -------
    (n_blocks, n_features) float32
    """
    return _context(batch, scores, (structure, structure_scores))


def _context(batch: Batch, scores: Float, html: tuple[Structure, Float] | None) -> Float:
    numbers, share = _numbers(batch), shares(scores)
    if native.LIBRARY is not None:
        settings = (NEIGHBOURS, STRUCTURE_NEIGHBOURS, CONTAINER_LEVELS, *WINDOWS)
        around = _for_native(batch, *html) if html else None
        return native.context(native.LIBRARY, settings, _LOGIT_LIMIT, numbers, share, scores, around)
    parts = [numbers, *_around(share, scores), *_neighbours(np.column_stack((share, numbers[:, :1])), NEIGHBOURS)]
    if html:
        structure, structure_scores = html
        structure_share = shares(structure_scores)
        parts += [
            _structure_numbers(batch, structure),
            *_around(structure_share, structure_scores),
            *_neighbours(structure_share, STRUCTURE_NEIGHBOURS),
            *_container_means(share, structure),
        ]
    return np.concatenate(parts, axis=1)


def _for_native(batch: Batch, structure: Structure, scores: Float) -> native.Html:
    return native.Html(
        batch.lengths,
        structure.link_characters,
        structure.element,
        structure.parent,
        structure.depth,
        structure.tag,
        _known_tags(structure),
        len(_TAGS),
        shares(scores),
        scores,
    )


def _numbers(batch: Batch) -> Float:
    if native.LIBRARY is not None:
        arrays = (batch.characters, batch.lengths)
        return native.block_numbers(native.LIBRARY, *arrays, sign_table(), len(NUMBERS) + POSITIONS)
    return np.concatenate((text_numbers(batch), _positions(batch)), axis=1)


def shares(scores: Float) -> Float:
    """The probability of each kind by its own log odds, made to sum to one over the kinds."""
    odds = 1 / (1 + np.exp(-np.clip(scores, -30, 30)))
    share: Float = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32, copy=False)
    return share


def _around(share: Float, scores: Float) -> list[Float]:
    """The block's own scores, their means over windows around it and over the page, and the page's highest."""
    count = len(share)
    total = np.zeros((count + 1, share.shape[1]))
    np.cumsum(share, axis=0, dtype=np.float64, out=total[1:])
    at = np.arange(count)
    means = []
    for width in (*WINDOWS, count):
        low, high = np.maximum(at - width, 0), np.minimum(at + width + 1, count)
        means.append(((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32))
    return [
        share,
        np.clip(scores, -_LOGIT_LIMIT, _LOGIT_LIMIT),
        *means,
        np.broadcast_to(share.max(axis=0), share.shape),
    ]


def _neighbours(values: Float, count: int) -> list[Float]:
    """The values of ``count`` blocks before and after each block side by side, zero beyond the page's ends."""
    padded = np.zeros((len(values) + 2 * count, values.shape[1]), np.float32)
    padded[count : count + len(values)] = values
    return [padded[offset : offset + len(values)] for offset in range(2 * count + 1) if offset != count]


def _positions(batch: Batch) -> Float:
    """Where the block stands on the page, by blocks and by characters, and how often the page repeats its text."""
    count = len(batch.texts)
    at = np.arange(count)
    before = np.cumsum(batch.lengths) - batch.lengths
    occurrences = Counter(batch.texts)
    repeats = np.fromiter((occurrences[text] for text in batch.texts), np.int64, count)
    columns = (at / count, np.log1p(at), np.log1p(count - 1 - at), before / batch.lengths.sum(), np.log(repeats))
    return np.stack((*columns, np.full(count, np.log1p(count))), axis=1).astype(np.float32)


def _structure_numbers(batch: Batch, structure: Structure) -> Float:
    """The share of the block that is links, its depth, and its element's tag."""
    numbers = np.zeros((len(batch.lengths), 2 + len(_TAGS)), np.float32)
    numbers[:, 0] = np.minimum(structure.link_characters / batch.lengths, 1.5)
    numbers[:, 1] = np.log1p(structure.depth[structure.element])
    numbers[:, 2:] = _known_tags(structure)[structure.tag[structure.element]][:, None] == np.arange(len(_TAGS))
    return numbers


def _known_tags(structure: Structure) -> Int32:
    return np.array([_TAGS.get(tag, len(_TAGS)) for tag in structure.tags], np.int32)


def _container_means(values: Float, structure: Structure) -> list[Float]:
    """For each element above the block's own: the mean over the blocks that share it, and their number."""
    parent, element = structure.parent, structure.element
    columns: list[Float] = []
    for _ in range(CONTAINER_LEVELS):
        element = np.where(parent[element] >= 0, parent[element], element)
        mean, count = _group_means(values, element)
        columns += [mean, np.log(count)[:, None].astype(np.float32)]
    return columns


def _group_means(values: Float, group: NDArray[np.int32]) -> tuple[Float, Int]:
    """The mean of the values, and the size, of each row's group."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(starts, append=len(group))
    means = np.add.reduceat(values[order], starts, axis=0, dtype=np.float64) / sizes[:, None]
    member = np.empty(len(group), np.int64)
    member[order] = np.repeat(np.arange(len(starts)), sizes)
    return means.astype(np.float32)[member], sizes[member]
