"""The block among its neighbours: first-stage scores of a whole page -> what the second stage sees of each block.

All functions take one page at a time, so that a page's scores do not depend on the batch it came in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detector.features import Float, Int, text_numbers
from detector.segment import Structure

NEIGHBOURS = 4
"""How many blocks before and after a block are seen one by one."""

STRUCTURE_NEIGHBOURS = 2
WINDOWS = (2, 7, 20)
"""How many blocks on each side are seen as a mean."""

CONTAINER_LEVELS = 4
"""How many elements above a block's own are seen as the mean of the blocks directly or indirectly below."""

_TAGS = {
    tag: number
    for number, tag in enumerate("p div li button h1 h2 h3 h4 td label figcaption blockquote dd section".split())
}
_LOGIT_LIMIT = 8.0


def text_context(texts: list[str], scores: Float) -> Float:
    """What the second stage sees of each block of bare text.

    Parameters
    ----------
    texts : list of str, n_blocks of one page
    scores : (n_blocks, n_kinds) float32
        First-stage scores of the text: log odds of each kind.

    Returns
    -------
    (n_blocks, n_features) float32
    """
    return np.concatenate(_text_parts(texts, scores), axis=1)


def html_context(texts: list[str], scores: Float, structure: Structure, structure_scores: Float) -> Float:
    """What the second stage sees of each block of HTML: `text_context`, and the same of the elements around.

    Parameters
    ----------
    texts, scores
        As for `text_context`.
    structure : Structure of the page
    structure_scores : (n_blocks, n_kinds) float32
        First-stage scores of the elements around each block.

    Returns
    -------
    (n_blocks, n_features) float32
    """
    around = shares(structure_scores)
    return np.concatenate(
        (
            *_text_parts(texts, scores),
            _structure_numbers(texts, structure),
            *_around(around, structure_scores),
            *_neighbours(around, STRUCTURE_NEIGHBOURS),
            *_container_means(shares(scores), structure),
        ),
        axis=1,
    )


def _text_parts(texts: list[str], scores: Float) -> list[Float]:
    numbers, share = text_numbers(texts), shares(scores)
    seen_of_neighbours = np.concatenate((share, numbers[:, :1]), axis=1)
    return [
        numbers,
        _positions(texts),
        *_around(share, scores),
        *_neighbours(seen_of_neighbours, NEIGHBOURS),
    ]


def shares(scores: Float) -> Float:
    """The probability of each kind by its own log odds, made to sum to one over the kinds."""
    odds = 1 / (1 + np.exp(-np.clip(scores, -30, 30)))
    share: Float = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32, copy=False)
    return share


def _around(share: Float, scores: Float) -> list[Float]:
    """The block's own scores, their means over windows around it and over the page, and the page's highest."""
    whole = np.concatenate((share.mean(axis=0), share.max(axis=0)))
    return [
        share,
        np.clip(scores, -_LOGIT_LIMIT, _LOGIT_LIMIT),
        *_window_means(share),
        np.broadcast_to(whole, (len(share), len(whole))),
    ]


def _window_means(values: Float) -> Iterator[Float]:
    """For each of WINDOWS, the mean over each block and as many on each side, as far as the page goes."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    at = np.arange(len(values))
    for width in WINDOWS:
        low, high = np.maximum(at - width, 0), np.minimum(at + width + 1, len(values))
        yield ((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32)


def _neighbours(values: Float, count: int) -> list[Float]:
    """The values of ``count`` blocks before and after each block side by side, zero beyond the page's ends."""
    padded = np.zeros((len(values) + 2 * count, values.shape[1]), np.float32)
    padded[count : count + len(values)] = values
    return [padded[offset : offset + len(values)] for offset in range(2 * count + 1) if offset != count]


def _positions(texts: list[str]) -> Float:
    """Where the block stands on the page, by blocks and by characters, and how often the page repeats its text."""
    count = len(texts)
    at = np.arange(count)
    length = np.fromiter(map(len, texts), np.int64, count)
    before = np.cumsum(length) - length
    occurrences = Counter(texts)
    repeats = np.fromiter((occurrences[text] for text in texts), np.int64, count)
    columns = (at / count, np.log1p(at), np.log1p(count - 1 - at), before / length.sum(), np.log(repeats))
    return np.stack((*columns, np.full(count, np.log1p(count))), axis=1).astype(np.float32)


def _structure_numbers(texts: list[str], structure: Structure) -> Float:
    """The share of the block that is links, its depth, and its element's tag."""
    length = np.fromiter(map(len, texts), np.int64, len(texts))
    links = np.minimum(np.array(structure.link_characters) / length, 1.5)
    depth = np.log1p([structure.depth[element] for element in structure.element])
    tags = np.array([_TAGS.get(structure.tag[element], len(_TAGS)) for element in structure.element])
    is_tag = tags[:, None] == np.arange(len(_TAGS))
    return np.column_stack((links, depth, is_tag)).astype(np.float32)


def _container_means(values: Float, structure: Structure) -> list[Float]:
    """For each element above the block's own: the mean over the blocks that share it, and their number."""
    parent = np.array(structure.parent)
    element = np.array(structure.element)
    columns: list[Float] = []
    for _ in range(CONTAINER_LEVELS):
        element = np.where(parent[element] >= 0, parent[element], element)
        mean, count = _group_means(values, element)
        columns += [mean, np.log(count)[:, None].astype(np.float32)]
    return columns


def _group_means(values: Float, group: Int) -> tuple[Float, NDArray[np.int64]]:
    """The mean of the values, and the size, of each row's group."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(starts, append=len(group))
    sums: Float = np.add.reduceat(values[order], starts, axis=0)
    means = np.divide(sums, sizes[:, None], dtype=np.float32)
    member = np.empty(len(group), np.int64)
    member[order] = np.repeat(np.arange(len(starts)), sizes)
    return means[member], sizes[member]
