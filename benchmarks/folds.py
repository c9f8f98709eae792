"""Models that have not seen some publishers: one a fold, to measure with.

    python benchmarks/folds.py DATA... -o FOLDER

DATA are labelled folders. Writes FOLDER/fold-N.safetensors and FOLDER/fold-N.txt, the ids of the pages whose publishers
that model has not seen, and FOLDER/detector.safetensors, the model of all pages.
"""

from __future__ import annotations

from pathlib import Path

import click

from detector.model import write_model
from detector.training.data import read_pages
from detector.training.fit import Settings
from detector.training.train import train


def tell(step: str, done: int, total: int) -> None:
    click.echo(f"{step}: {done} of {total}", err=True)


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path))
def main(data: tuple[Path, ...], output: Path) -> None:
    """Train once and keep the model of each fold."""
    output.mkdir(parents=True, exist_ok=True)
    trained = train(read_pages(data), Settings(), progress=tell)
    write_model(trained.model, output / "detector.safetensors")
    for number, (ids, model) in enumerate(trained.folds):
        write_model(model, output / f"fold-{number}.safetensors")
        (output / f"fold-{number}.txt").write_text("".join(f"{page_id}\n" for page_id in sorted(ids)))


if __name__ == "__main__":
    main()
