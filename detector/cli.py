"""The command line. What needs numpy is imported inside the commands, so that --version and --help answer at once."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from detector import __version__
from detector.page import FLAGGED, Page, PageError, kinds_to_drop

if TYPE_CHECKING:
    from detector.bulk import Source
    from detector.detector import Detector

_COLOURS = {"donation": "magenta", "paywall": "yellow", "editorial": None, "other": "bright_black"}
_CONTEXT = {"help_option_names": ["-h", "--help"]}


_MOST_REMARKS = 20


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="detector")
def main() -> None:
    """Judge every paragraph of web pages: editorial, donation appeal, paywall or other.

    \b
    Example:
      detector scan article.html
      detector clean --to html pages/ -o cleaned/
    """


def _names_to_drop(_context: click.Context, _option: click.Parameter, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    try:
        kinds_to_drop(names)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return names


_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(allow_dash=True))
_data = click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
_model = click.option(
    "--model", type=click.Path(dir_okay=False), help="A saved model.  [default: the one that comes with the package]"
)
_input = click.option(
    "--input", "kind", type=click.Choice(["html", "text"]), help="What the pages are.  [default: told by their content]"
)
_threshold = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="The score from which on a block is flagged; lower flags more.  [default: the model's own]",
)


@main.command()
@_paths
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "text"]),
    default="table",
    show_default=True,
    help="A table to read, a JSON object a page, or a line a block with tabs between.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), default="-", help="Write to this file."
)
@_input
@_threshold
@_model
@click.pass_context
def scan(
    context: click.Context,
    paths: tuple[str, ...],
    form: str,
    output: str,
    kind: str | None,
    threshold: float | None,
    model: str | None,
) -> None:
    """Label every paragraph of pages.

    PATHS are HTML or text files (.html, .htm, .txt, also .gz), folders of them, or - for standard input.

    \b
    Example:
      detector scan article.html
      curl -s https://example.org/ | detector scan --format jsonl -
    """
    write_page = {"table": _table, "jsonl": _json_line, "text": _tab_lines}[form]
    run = _Run(_detector(model, threshold), kind)
    with _output(output) as file:
        for source, page in run.pages(paths, to_terminal=output == "-" and sys.stdout.isatty()):
            file.write(write_page(source.path, page))
    run.finish(context)


@main.command()
@_paths
@click.option("--to", type=click.Choice(["text", "html"]), default="text", show_default=True, help="What to hand back.")
@click.option(
    "--drop",
    default=",".join(FLAGGED),
    show_default=True,
    metavar="NAMES",
    callback=_names_to_drop,
    help="Labels and kinds to take out; 'other' takes all that is not the article.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    type=click.Path(allow_dash=True),
    help="Write to this file, or one file a page into this folder.",
)
@_input
@_threshold
@_model
@click.pass_context
def clean(
    context: click.Context,
    paths: tuple[str, ...],
    to: str,
    drop: list[str],
    output: str,
    kind: str | None,
    threshold: float | None,
    model: str | None,
) -> None:
    """Hand pages back without appeals and prompts.

    PATHS as for scan. Text comes a paragraph a line. A folder as OUTPUT (one that exists, or a name that ends in /)
    gets a file for each page; else all pages go one after another. A page of which more is flagged than is credible
    is left whole and reported.

    \b
    Example:
      detector clean article.html > article.txt
      detector clean --to html pages/ -o cleaned/
    """
    run = _Run(_detector(model, threshold), kind)
    folder = Path(output) if output.endswith(("/", os.sep)) or os.path.isdir(output) else None
    with nullcontext() if folder else _output(output) as file:
        for source, page in run.pages(paths, to_terminal=output == "-" and sys.stdout.isatty()):
            try:
                cleaned = page.html(drop) if to == "html" else page.text(drop)
                if folder:
                    _write_into(folder, source.name, to, cleaned)
                elif file:
                    file.write(cleaned)
            except (PageError, OSError) as error:
                run.fail(source.path, error)
                continue
            if page.is_kept_whole:
                click.echo(f"{source.path}: left whole: {page.flagged_share:.0%} of its prose was flagged", err=True)
    run.finish(context)


@main.command()
@_data
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The model to write."
)
@click.option(
    "--card",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The card to write.  [default: OUTPUT with ending .md]",
)
@click.option(
    "--editorial-loss",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.001,
    show_default=True,
    help="The share of editorial words that may be flagged.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is random.")
@click.option("--jobs", type=int, default=-1, help="Processes.  [default: one a core]")
def train(data: tuple[Path, ...], output: Path, card: Path | None, editorial_loss: float, seed: int, jobs: int) -> None:
    """Fit a model on labelled folders, and measure it on held-out publishers.

    DATA are folders with labels.jsonl and, where there is HTML, pages/ID.html.gz. Needs the train extra.

    \b
    Example:
      detector train training_data/ -o my.safetensors
    """
    try:
        from detector.training.fit import Settings
        from detector.training.train import train as fit
    except ImportError as error:
        raise click.ClickException(
            f"training needs more packages ({error}): pip install 'paywall-detector[train]'"
        ) from error
    from detector.card import card_markdown
    from detector.model import write_model
    from detector.output import whole_file
    from detector.training.data import DataError, read_pages

    try:
        settings = Settings(seed=seed, editorial_loss=editorial_loss)
        made = fit(read_pages(data), settings, jobs, _progress).model
    except DataError as error:
        raise click.ClickException(str(error)) from error
    text = card_markdown(made)
    try:
        write_model(made, output)
        with whole_file(card or output.with_suffix(".md")) as file:
            file.write(text.encode())
    except OSError as error:
        raise click.ClickException(f"{error.filename}: cannot be written ({error.strerror})") from error
    click.echo(text)


@main.command()
@_data
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@_model
@_threshold
def evaluate(data: tuple[Path, ...], form: str, model: str | None, threshold: float | None) -> None:
    """Measure a model on labelled folders, as HTML where there is HTML, and as bare text.

    On pages that the model was trained on the figures flatter: its card (see info) has those of held-out publishers.

    \b
    Example:
      detector evaluate my_labels/ --model my.safetensors
    """
    from detector.training.data import DataError, read_pages
    from detector.training.evaluate import evaluate as measure
    from detector.training.evaluate import table

    detector = _detector(model, threshold)
    try:
        result = measure(read_pages(data), detector)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(result, indent=2) if form == "json" else table(result))


@main.command()
@_data
@click.pass_context
def check(context: click.Context, data: tuple[Path, ...]) -> None:
    """Say what is wrong with labelled folders, file and line.

    Tells too, as remarks that are no problems, which blocks nearly repeat blocks of other pages, and which languages
    have few pages.

    \b
    Example:
      detector check training_data/
    """
    from detector.training.data import check as problems_of

    problems = problems_of(data)
    for problem in problems:
        click.echo(problem)
    if not problems:
        _remarks(data)
    click.echo(f"{len(problems) or 'no'} problem{'s' * (len(problems) != 1)}", err=True)
    context.exit(1 if problems else 0)


@main.command()
@_model
def info(model: str | None) -> None:
    """Show a model's card: its data, settings and held-out figures.

    \b
    Example:
      detector info
    """
    from detector.card import card_markdown

    click.echo(card_markdown(_detector(model, None).model))


def _remarks(data: tuple[Path, ...]) -> None:
    from detector.training.data import read_pages
    from detector.training.survey import PAGES_WANTED, near_duplicates, short_languages

    pages = read_pages(data)
    repeated, compared = near_duplicates(pages)
    share = 100 * len(repeated) / max(compared, 1)
    click.echo(f"near-duplicates: {len(repeated):,} of {compared:,} blocks of five words or more ({share:.2f} %)")
    for duplicate in repeated[:_MOST_REMARKS]:
        click.echo(f"  {duplicate}")
    if len(repeated) > _MOST_REMARKS:
        click.echo(f"  and {len(repeated) - _MOST_REMARKS:,} more")
    wanted = ", ".join(f"{count} pages with {kind}" for kind, count in PAGES_WANTED.items())
    short = list(short_languages(pages))
    click.echo(f"languages with fewer than {wanted}: {len(short) or 'none'}")
    for line in short:
        click.echo(f"  {line}")


def _detector(model: str | None, threshold: float | None) -> Detector:
    from detector.detector import Detector
    from detector.model import ModelError

    try:
        return Detector(model, threshold)
    except ModelError as error:
        raise click.ClickException(str(error)) from error


class _Run:
    """Pages judged one after another; those that fail are told on stderr and counted."""

    def __init__(self, detector: Detector, kind: str | None) -> None:
        self.detector = detector
        self.kind = kind
        self.failures = 0

    def pages(self, paths: Iterable[str], to_terminal: bool) -> Iterator[tuple[Source, Page]]:
        from detector.bulk import find_pages

        found = list(find_pages(paths))
        show = len(found) > 1 and sys.stderr.isatty() and not to_terminal
        with click.progressbar(found, file=sys.stderr, label="pages") if show else nullcontext(found) as sources:
            for source in sources:
                if isinstance(source, tuple):
                    self.fail(*source)
                    continue
                try:
                    page = self.detector.scan(source.read(), self.kind)
                except PageError as error:
                    self.fail(source.path, error)
                    continue
                yield source, page

    def fail(self, path: str, error: Exception) -> None:
        self.failures += 1
        click.echo(f"{path}: {error}", err=True)

    def finish(self, context: click.Context) -> None:
        context.exit(1 if self.failures else 0)


@contextmanager
def _output(path: str) -> Iterator[Any]:
    """Standard output, or a file that is there once it is whole."""
    if path == "-":
        yield _Stdout()
        return
    from detector.output import whole_file

    try:
        with whole_file(Path(path)) as file:
            yield _Utf8(file)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror or error})") from error


class _Stdout:
    def write(self, text: str) -> None:
        click.echo(text, nl=False)


class _Utf8:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, text: str) -> None:
        self.file.write(text.encode("utf-8", "replace"))


def _write_into(folder: Path, name: str, to: str, cleaned: str) -> None:
    from detector.bulk import stem
    from detector.output import whole_file

    path = folder / f"{stem(name)}.{'html' if to == 'html' else 'txt'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(cleaned.encode("utf-8", "replace"))


def _table(path: str, page: Page) -> str:
    """One line a block, cut to the terminal's width; colour where standard output is a terminal that wants it."""
    width = max(shutil.get_terminal_size((100, 24)).columns, 60)
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    lines = [f"{path}: {len(page.blocks)} blocks, {sum(block.label in FLAGGED for block in page.blocks)} flagged"]
    for block in page.blocks:
        start = f"{block.label:<9}  {block.score:4.2f}  "
        text = _cut(_printable(block.text), width - len(start))
        lines.append(click.style(start + text, fg=_COLOURS[block.label]) if colour else start + text)
    return "\n".join(lines) + "\n\n"


def _printable(text: str) -> str:
    """Without control characters, by which a page could steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cut(text: str, columns: int) -> str:
    """The text cut to so many columns of a terminal; wide characters take two."""
    used = 0
    for at, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else not unicodedata.combining(character)
        if used > columns - 1 and at < len(text) - 1:
            return text[:at] + "…"
    return text


def _tab_lines(path: str, page: Page) -> str:
    return "".join(f"{path}\t{b.label}\t{b.kind}\t{b.score:.4f}\t{b.text}\n" for b in page.blocks)


def _json_line(path: str, page: Page) -> str:
    blocks = [{name: value for name, value in asdict(block).items() if value is not None} for block in page.blocks]
    return json.dumps({"path": path, "input": page.input, "blocks": blocks}, ensure_ascii=False) + "\n"


def _progress(step: str, done: int, total: int) -> None:
    """A line that counts up on a terminal, else a line a step."""
    if sys.stderr.isatty():
        click.echo(f"\r{step}: {done} of {total}" + ("\n" if done == total else ""), err=True, nl=False)
    elif done in (0, total):
        click.echo(f"{step}: {done} of {total}", err=True)
