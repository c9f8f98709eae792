"""The accuracy gate: held-out figures of the folds against the floors in floors.json.

    python benchmarks/gate.py FOLDS DATA [--predictions FOLDER]

FOLDS comes from folds.py, DATA is a labelled folder. Every page goes through `Detector.scan`, as HTML and as bare text,
with the model and the threshold of its fold; the last line of each input is measured with one threshold for all pages,
the one at which 0.1 % of the editorial words are flagged. Ends with status 1 where a figure is below its floor, or the
editorial loss above its ceiling. Floors go up when a figure gets better, never down to pass.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from held_out import held_out

from detector.page import FLAGGED, Block, Page
from detector.training.data import LabelledPage, html_of
from detector.training.figures import NAMES, Figure, score

LOSS = 0.001
FLOORS = Path(__file__).with_name("floors.json")


@click.command()
@click.argument("folds", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--predictions", type=click.Path(file_okay=False, path_type=Path), help="Write what was flagged here.")
def main(folds: Path, data: Path, predictions: Path | None) -> None:
    """Print the figures beside their floors."""
    judged: dict[str, list[tuple[LabelledPage, Page]]] = {"html": [], "text": []}
    for pages, detector in held_out(folds, data):
        for page in pages:
            if page.html_file:
                judged["html"].append((page, detector.scan(html_of(page), "html")))
            judged["text"].append((page, detector.scan("\n\n".join(page.texts), "text")))
    floors = json.loads(FLOORS.read_text())[data.resolve().name]
    failed = False
    for kind, rows in judged.items():
        if not rows:
            continue
        figures = figures_of(rows)
        click.echo(f"input {kind}, {len(rows)} pages")
        for name in NAMES:
            failed |= show(name, figures[name], floors[kind].get(name))
        name = f"recall at {LOSS}"
        failed |= show(name, recall_at(rows, LOSS), floors[kind].get(name))
        if predictions:
            write_predictions(predictions / f"{kind}.jsonl", rows)
    sys.exit(1 if failed else 0)


def figures_of(rows: list[tuple[LabelledPage, Page]], threshold: float | None = None) -> dict[str, Figure]:
    """The figures of what was flagged, or of what would be at one threshold for all pages."""

    def is_flagged(block: Block) -> bool:
        return block.label in FLAGGED if threshold is None else block.score >= threshold

    flagged = {
        labelled.id: [(block.text, block.label) for block in page.blocks if is_flagged(block)]
        for labelled, page in rows
    }
    return score([labelled for labelled, _ in rows], flagged)


def recall_at(rows: list[tuple[LabelledPage, Page]], loss: float) -> Figure:
    """Recall long at the lowest threshold, to a thousandth, at which no more of the editorial words is flagged."""
    low, high = 0.0, 1.0
    while high - low > 0.001:
        middle = (low + high) / 2
        too_much = figures_of(rows, middle)["editorial loss"].value > loss
        low, high = (middle, high) if too_much else (low, middle)
    return figures_of(rows, high)["recall long"]


def show(name: str, figure: Figure, limit: float | None) -> bool:
    """Print a figure; whether it is past its limit."""
    is_loss = name in ("editorial loss", "pages harmed")
    failed = limit is not None and (figure.value > limit if is_loss else figure.value < limit)
    told = "" if limit is None else f"   {'at most' if is_loss else 'at least'} {limit}{'   FAILED' if failed else ''}"
    click.echo(f"  {name:<16} {figure.value:8.4f}   {figure.hits} of {figure.total}{told}")
    return failed


def write_predictions(path: Path, rows: list[tuple[LabelledPage, Page]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for labelled, page in rows:
            blocks = [{"text": b.text, "label": b.label, "kind": b.kind, "score": b.score} for b in page.blocks]
            file.write(json.dumps({"id": labelled.id, "blocks": blocks}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
