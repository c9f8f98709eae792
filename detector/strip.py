"""A page's HTML without some of its blocks."""

from __future__ import annotations

from collections.abc import Sequence

from detector.segment import parse, walk

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
    structure = walk(tree, keep_nodes=True).structure
    assert structure is not None
    count = len(structure.parent)
    kept, gone = [0] * count, [0] * count
    for nodes, out in zip(structure.text_nodes, dropped, strict=True):
        for _, element in nodes:
            (gone if out else kept)[element] += 1
    for element in range(count - 1, 0, -1):  # children come after their parents
        kept[structure.parent[element]] += kept[element]
        gone[structure.parent[element]] += gone[element]
    removed = [False] * count
    for element, parent in enumerate(structure.parent):
        if parent >= 0 and removed[parent]:
            removed[element] = True
        elif gone[element] and not kept[element] and structure.tag[element] not in _KEPT_TAGS:
            removed[element] = True
            structure.element_nodes[element].decompose()
    for nodes, out in zip(structure.text_nodes, dropped, strict=True):
        for node, element in nodes:
            if out and not removed[element]:
                node.decompose()
    return tree.html or ""
