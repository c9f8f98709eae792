"""The command line. What needs numpy is imported inside the commands, so that --version and --help answer at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from detector import __version__
from detector.page import FLAGGED, PageError, kinds_to_drop

if TYPE_CHECKING:
    from detector.bulk.tasks import Task
    from detector.detector import Detector

_Command = TypeVar("_Command", bound=Callable[..., Any])
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


_TELLING_OPTIONS = ("column", "drop", "form", "kind", "threshold", "to")
"""Options of which what is written of a page depends."""

_paths = click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
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


def _many_pages(command: _Command) -> _Command:
    """The options of commands that take many pages."""
    for option in reversed(
        (
            click.option(
                "--files-from",
                type=click.Path(exists=True, dir_okay=False, allow_dash=True),
                metavar="FILE",
                help="Take the paths in this list too, one a line.",
            ),
            click.option(
                "--column",
                help="The column of JSONL and Parquet that pages stand in.  "
                "[default: html, content, text, raw_html or body]",
            ),
            click.option(
                "--jobs",
                type=click.IntRange(1),
                help="Processes; 1 works in this one, without --page-timeout.  [default: the cores]",
            ),
            click.option(
                "--page-timeout",
                type=click.FloatRange(0, min_open=True),
                default=10.0,
                show_default=True,
                metavar="SECONDS",
                help="A page that takes longer fails.",
            ),
            click.option(
                "--resume",
                is_flag=True,
                help="Go on with a run into a folder that broke off: keep files that are whole.",
            ),
        )
    ):
        command = option(command)
    return command


@main.command()
@_paths
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "text", "parquet", "dolma"]),
    default="table",
    show_default=True,
    help="A table to read, a JSON object a page, a line a block with tabs between, a Parquet row a page, or Dolma's "
    "attributes.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(allow_dash=True),
    default="-",
    help="Write to this file, or one file an input into this folder.",
)
@_input
@_many_pages
@_threshold
@_model
@click.pass_context
def scan(context: click.Context, /, form: str, kind: str | None, **options: Any) -> None:
    """Label every paragraph of pages.

    PATHS are pages (.html, .htm, .txt, also .gz), web archives (.warc, .warc.gz), tables with a page in each row
    (.jsonl, also .gz and .zst; .parquet), folders of all these, or - for a page or archive on standard input.

    A folder as OUTPUT (one that exists, or a name that ends in /) gets a file for each archive and table, and one for
    1,000 pages. Dolma's attributes are those of text documents, a row for each; --threshold 0 gives all spans and
    their scores.

    \b
    Example:
      detector scan article.html
      curl -s https://example.org/ | detector scan --format jsonl -
      detector scan --format jsonl crawl/*.warc.gz -o labels/
    """
    if form == "parquet" and options["output"] == "-":
        raise click.UsageError("Parquet is not written to standard output: name a file with -o.")
    from detector.bulk.tasks import Scan

    if form == "parquet":
        _need_pyarrow()
    detector = _detector(options["model"], options["threshold"])
    _run(context, Scan(form, kind), detector, options | {"form": form, "kind": kind})


@main.command()
@_paths
@click.option(
    "--to",
    type=click.Choice(["text", "html"]),
    help="What to hand back.  [default: text; of archives and tables, what they hold]",
)
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
    help="Write to this file, or one file a page, archive or table into this folder.",
)
@_input
@_many_pages
@_threshold
@_model
@click.pass_context
def clean(context: click.Context, /, to: str | None, drop: list[str], kind: str | None, **options: Any) -> None:
    """Hand pages back without appeals and prompts.

    PATHS as for scan. Text comes a paragraph a line. A folder as OUTPUT (one that exists, or a name that ends in /)
    gets a file for each page; else all pages go one after another. A page of which more is flagged than is credible
    is left whole and reported.

    JSONL and Parquet come back with the same rows, the pages in them cleaned, and two columns more: removed_blocks,
    counted by label, and removed_words. All else stays as it was, and so does a page that fails. Archives come back
    as JSONL: url, record, content and these two.

    \b
    Example:
      detector clean article.html > article.txt
      detector clean --to html pages/ -o cleaned/
      detector clean documents.jsonl.gz -o cleaned/ --resume
    """
    from detector.bulk.tasks import Clean

    detector = _detector(options["model"], options["threshold"])
    _run(context, Clean(to, tuple(drop), kind), detector, options | {"to": to, "drop": drop, "kind": kind})


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


def _need_pyarrow() -> None:
    from detector.bulk.parquet import pyarrow

    try:
        pyarrow("parquet")
    except PageError as error:
        raise click.ClickException(f"--format parquet: {error}") from error


def _detector(model: str | None, threshold: float | None) -> Detector:
    from detector.bulk.judge import ONE_THREAD

    os.environ.update(ONE_THREAD | os.environ)  # before numpy is imported
    from detector.detector import Detector
    from detector.model import ModelError

    try:
        return Detector(model, threshold)
    except ModelError as error:
        raise click.ClickException(str(error)) from error


def _run(
    context: click.Context,
    task: Task,
    detector: Detector,
    options: dict[str, Any],
) -> None:
    """Do a task with all pages, tell of it, and end with the exit status that says how it went."""
    from detector.bulk.judge import WorkerError
    from detector.bulk.report import Report
    from detector.bulk.resume import OtherRunError, begin, digest
    from detector.bulk.run import OutputError, Paths, Run
    from detector.bulk.sources import find_inputs

    output: str = options["output"]
    in_folder = output.endswith(("/", os.sep)) or os.path.isdir(output)
    paths = Paths(options["paths"], options["files_from"])
    _check_usage(options, in_folder)
    is_shown = sys.stderr.isatty() and not (output == "-" and sys.stdout.isatty())
    inputs = digest(find_inputs(paths)) if in_folder or is_shown else None
    report = Report(inputs["bytes"] if inputs and is_shown else None)
    try:
        if in_folder:
            begin(Path(output), _how(context, task, detector, options, inputs), options["resume"])
        jobs = options["jobs"] or _cores()
        Run(
            detector,
            task,
            paths,
            output,
            in_folder,
            options["column"],
            jobs,
            options["page_timeout"],
            options["resume"],
            report,
        ).start()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise click.ClickException(f"{output}: cannot be written ({error.strerror or error})") from error
    except (OtherRunError, OutputError, WorkerError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("broken off", err=True)
        context.exit(130)
    report.summary()
    context.exit(1 if report.failures else 0)


def _check_usage(options: dict[str, Any], in_folder: bool) -> None:
    listed = options["files_from"]
    if not options["paths"] and not listed:
        raise click.UsageError("Missing argument 'PATHS...': name pages, or a list of them with --files-from.")
    reads_stdin = "-" in options["paths"]
    if reads_stdin and listed == "-":
        raise click.UsageError("Standard input cannot be a page and a list of pages.")
    if options["resume"] and (not in_folder or reads_stdin):
        raise click.UsageError("--resume goes on in a folder, of files that can be read again: -o FOLDER/, and no '-'.")


def _how(context: click.Context, task: Task, detector: Detector, options: dict[str, Any], inputs: Any) -> Any:
    """What has to be the same where a broken run is gone on with, by the names that users know."""
    import hashlib

    from detector.model import shipped_model_path

    model = Path(options["model"] or shipped_model_path()).read_bytes()
    return {
        "command": context.info_name,
        "version": __version__,
        "inputs": inputs,
        "model": hashlib.sha256(model).hexdigest(),
        "options": {name: options[name] for name in _TELLING_OPTIONS if name in options},
    }


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _progress(step: str, done: int, total: int) -> None:
    """A line that counts up on a terminal, else a line a step."""
    if sys.stderr.isatty():
        click.echo(f"\r{step}: {done} of {total}" + ("\n" if done == total else ""), err=True, nl=False)
    elif done in (0, total):
        click.echo(f"{step}: {done} of {total}", err=True)
