"""A page's HTML without some of its blocks."""

from __future__ import annotations

from collections.abc import Sequence

from detector.segment import parse, walk_tree

_KEPT_TAGS = frozenset(("html", "body", "main", "article"))
"""Never taken out, even where nothing is left in them: extractors look for them."""


def html_without(html: str, dropped: Sequence[bool]) -> str:
    """The page without the dropped blocks, and without the elements that held nothing else.

    Parameters
    ----------
    html : str
        The page as it was segmented.
    dropped : sequence of bool
        Whether each block goes, in document order.

    Returns
    -------
    str
        The page as the HTML standard serialises it. Nothing changes where nothing is dropped.
    """
    if not any(dropped):
        return html
    tree = parse(html)
    cut, nodes = walk_tree(tree, keep_nodes=True)
    structure = cut.structure
    assert structure is not None
    parents, tags = structure.parent.tolist(), structure.tag.tolist()
    count = len(parents)
    kept, gone = [0] * count, [0] * count
    for texts, out in zip(nodes.texts, dropped, strict=True):
        for _, element in texts:
            (gone if out else kept)[element] += 1
    for element in range(count - 1, 0, -1):  # children come after their parents
        kept[parents[element]] += kept[element]
        gone[parents[element]] += gone[element]
    removed = [False] * count
    for element, parent in enumerate(parents):
        if parent >= 0 and removed[parent]:
            removed[element] = True
        elif gone[element] and not kept[element] and structure.tags[tags[element]] not in _KEPT_TAGS:
            removed[element] = True
            nodes.elements[element].decompose()
    for texts, out in zip(nodes.texts, dropped, strict=True):
        for node, element in texts:
            if out and not removed[element]:
                node.decompose()
    return tree.html or ""
