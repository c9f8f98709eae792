"""What extractors leave in of appeals and prompts, alone and with this package before or behind, and what they lose.

    python benchmarks/leaks.py FOLDS DATA

FOLDS comes from folds.py, so that no page is cleaned by a model that has seen its publisher; DATA is a labelled folder
with HTML. A labelled block of 5 words or more stands in a text when at least half of its 4-word shingles do. Over the
article pages with at least one such donation or paywall block:

left             share of those blocks that stand in the text
pages leaking    share of the pages on which at least one does
editorial lost   share of the words of editorial blocks that do not stand in the text
lost beside      the same, of what the extractor alone keeps
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
from held_out import held_out
from peers import extractors

from detector import Detector, PageError
from detector.page import FLAGGED
from detector.training.data import LabelledPage, html_of
from detector.training.words import LONG, Passages, words


@click.command()
@click.argument("folds", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folds: Path, data: Path) -> None:
    """Print a Markdown table."""
    tools = extractors()
    counts: dict[str, Counter[str]] = {}
    for pages, detector in held_out(folds, data):
        for page in pages:
            if page.html_file and page.access != "na" and has_asks(page):
                count_page(page, detector, tools, counts)
    total = next(iter(counts.values()))
    click.echo(f"{total['pages']} pages, {total['asks']} blocks\n")
    click.echo("| | left | pages leaking | editorial lost | lost beside |\n| --- | --- | --- | --- | --- |")
    for name, count in counts.items():
        beside = f"{count['lost beside'] / count['stood']:.4f}" if count["stood"] else "-"
        shares = (count["left"] / count["asks"], count["leaking"] / count["pages"], count["lost"] / count["words"])
        click.echo(f"| {name} | {' | '.join(f'{share:.4f}' for share in shares)} | {beside} |")


def has_asks(page: LabelledPage) -> bool:
    return any(
        label in FLAGGED and len(words(text)) >= LONG for text, label in zip(page.texts, page.labels, strict=True)
    )


def count_page(
    page: LabelledPage, detector: Detector, tools: dict[str, Callable[[str], str]], counts: dict[str, Counter[str]]
) -> None:
    html = html_of(page)
    cleaned = detector.clean(html, to="html", input="html")
    texts = {"detector": (detector.clean(html, input="html"), None)}
    for name, extract in tools.items():
        alone = attempt(extract, html)
        texts[name] = (alone, None)
        texts[f"detector, then {name}"] = (attempt(extract, cleaned), alone)
        texts[f"{name}, then detector"] = (behind(detector, alone), alone)
    for name, (text, before) in texts.items():
        add(counts.setdefault(name, Counter()), page, text, before)


def attempt(extract: Callable[[str], str], html: str) -> str:
    try:
        return extract(html)
    except Exception:  # a peer that fails on a page gives nothing of it
        return ""


def behind(detector: Detector, text: str) -> str:
    try:
        return detector.clean(text, input="text")
    except PageError:  # nothing was extracted
        return text


def add(count: Counter[str], page: LabelledPage, text: str, before: str | None) -> None:
    now, earlier = Passages([text]), Passages([before]) if before is not None else None
    left = 0
    for own, label in zip(page.texts, page.labels, strict=True):
        tokens = words(own)
        if len(tokens) < LONG:
            continue
        stands = now.hold(tokens)
        if label in FLAGGED:
            count["asks"] += 1
            left += stands
        elif label == "editorial":
            count["words"] += len(tokens)
            count["lost"] += len(tokens) * (not stands)
            if earlier and earlier.hold(tokens):
                count["stood"] += len(tokens)
                count["lost beside"] += len(tokens) * (not stands)
    count["left"] += left
    count["pages"] += 1
    count["leaking"] += left > 0


if __name__ == "__main__":
    main()
