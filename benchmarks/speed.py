"""Pages a second of this package beside its peers, in one run, and what starting it costs.

    python benchmarks/speed.py FOLDER [--pages 60] [--rounds 3]

FOLDER holds pages (.html, .htm, also .gz). Each round runs every tool once over all pages, so that a machine whose
speed drifts drifts for all; the median of the rounds is shown, and the ratio to the first rows' tools.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from peers import extractors
from selectolax.lexbor import LexborHTMLParser

from detector import Detector
from detector.bulk.sources import Failure, Source, find_inputs
from detector.encoding import decode


def pages_per_second(work: Callable[[Any], Any], pages: Sequence[Any]) -> float:
    start = time.perf_counter()
    for page in pages:
        try:
            work(page)
        except Exception:  # some peers fail on some pages; they are timed on what they do
            continue
    return len(pages) / (time.perf_counter() - start)


def seconds(*command: str) -> float:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start

    return statistics.median(once() for _ in range(7))


def peak_memory(folder: str) -> float:
    """MB at the peak of a process that scans the folder."""
    command = [sys.executable, "-m", "detector", "scan", "--format", "jsonl", "-o", "/dev/null", folder]
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command[command.index("/dev/null")] = str(Path("/tmp") / "scan.jsonl")
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    return int(done.stdout) / (1e6 if sys.platform == "darwin" else 1e3)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--pages", "count", default=60, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(folder: str, count: int, rounds: int) -> None:
    """Print a Markdown table."""
    sources = [Source(found.path, found.name, 0) for found in find_inputs([folder]) if not isinstance(found, Failure)]
    chosen = sources[:: max(1, len(sources) // count)][:count]
    raw = [source.page() for source in chosen]
    html = [decode(page) for page in raw]
    detector = Detector()
    judged = [detector.scan(page, "html") for page in raw]
    texts = ["\n\n".join(block.text for block in page.blocks) for page in judged]
    tools: dict[str, tuple[Callable[[Any], Any], Sequence[Any]]] = {
        "detector, HTML in, labels out": (lambda page: detector.scan(page, "html"), raw),
        "detector, text in, labels out": (lambda page: detector.scan(page, "text"), texts),
        "detector, HTML in, clean HTML out": (lambda page: detector.clean(page, "html", input="html"), raw),
        "Lexbor parse alone": (LexborHTMLParser, html),
    } | {name: (work, html) for name, work in extractors().items()}
    speeds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(rounds):
        for name, (work, pages) in tools.items():
            speeds[name].append(pages_per_second(work, pages))
    median = {name: statistics.median(values) for name, values in speeds.items()}
    click.echo(f"{len(raw)} pages, {sum(map(len, raw)) // len(raw) // 1000} KB each on average\n")
    click.echo("| tool | pages a second | of resiliparse | of trafilatura |\n| --- | --- | --- | --- |")
    for name, value in median.items():
        ratios = [f"{value / median[peer]:.2f}" for peer in ("resiliparse main content", "trafilatura")]
        click.echo(f"| {name} | {value:.0f} | {' | '.join(ratios)} |")
    page = str(chosen[0].path)
    command = (sys.executable, "-m", "detector")
    click.echo("\n| | |\n| --- | --- |")
    click.echo(f"| `detector --version` | {seconds(*command, '--version'):.3f} s |")
    click.echo(f"| `detector scan` of one page | {seconds(*command, 'scan', page):.3f} s |")
    click.echo(f"| peak memory, `detector scan` of the folder | {peak_memory(folder):.0f} MB |")


if __name__ == "__main__":
    main()
