"""What many pages cost: by size, by jobs, in memory over a long run, from a web archive, and to start.

    python benchmarks/bulk.py FOLDER [--pages 3000] [--long 20000] [--rounds 3]

FOLDER holds pages (.html, .htm, also .gz), which are taken again and again until there are enough; what is made of them
lies in a temporary folder. Needs the warc extra. Wall-clock times of whole commands, starting included; the best of the
rounds, in each of which every command runs once.
"""

from __future__ import annotations

import gzip
import html
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import click
import psutil

from detector import Detector, Page
from detector.bulk.sources import Failure, Input, Source, find_inputs
from detector.bulk.warc import read_warc

COMMAND = (sys.executable, "-m", "detector")
JOBS = (1, 2, 4)
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def pages_of(folder: str, count: int) -> list[bytes]:
    found = [Source(item.path, item.name, 0) for item in find_inputs([folder]) if not isinstance(item, Failure)]
    return [
        page for source in found[:: max(1, len(found) // count)][:count] if isinstance(page := source.page(), bytes)
    ]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def scan(*arguments: str) -> float:
    return seconds(lambda: subprocess.run([*COMMAND, "scan", *arguments], check=False, capture_output=True))


def write_pages(pages: Sequence[bytes], folder: Path) -> None:
    folder.mkdir()
    for number, page in enumerate(pages):
        (folder / f"{number:05}.html").write_bytes(page)


def write_warc(pages: Sequence[bytes], path: Path) -> None:
    with open(path, "wb") as file:
        for number, page in enumerate(pages):
            http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/{number}\r\n"
                f"WARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
                f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
            )
            file.write(gzip.compress(head.encode() + http + b"\r\n\r\n", 6))


def read_alone(path: Path) -> int:
    return sum(1 for _ in read_warc(Input(str(path), path.name, "warc", path.stat().st_size)))


def memory(folder: Path, count: int, jobs: int, out: Path) -> tuple[int, int]:
    """MB of all processes of a run once 1,000 pages are done, and the most after that."""
    names = [str(path) for path in sorted(folder.iterdir())]
    listed = out.with_suffix(".list")
    listed.write_text("".join(f"{name}\n" for name in islice(cycle(names), count)))
    command = [*COMMAND, "scan", "--format", "text", "--jobs", str(jobs), "--files-from", str(listed), "-o", f"{out}/"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    seen = psutil.Process(process.pid)
    after_first = most = 0
    while process.poll() is None:
        try:
            held = sum(each.memory_info().rss for each in (seen, *seen.children()))
        except psutil.NoSuchProcess:
            continue
        if (out / "pages-00000.txt").exists():
            after_first = after_first or held
            most = max(most, held)
        time.sleep(0.05)
    return after_first // 1_000_000, most // 1_000_000


def table(head: str, rows: Sequence[Sequence[object]]) -> None:
    columns = head.split(" | ")
    click.echo(f"\n| {head} |\n| {' | '.join('---' for _ in columns)} |")
    for row in rows:
        click.echo(f"| {' | '.join(map(str, row))} |")


def by_jobs(folder: Path, archive: Path, count: int, rounds: int) -> None:
    runs = {("files", jobs): str(folder) for jobs in JOBS} | {("WARC", jobs): str(archive) for jobs in JOBS}
    times: dict[tuple[str, int], list[float]] = {run: [] for run in runs}
    alone = []
    for _ in range(rounds):
        alone.append(seconds(lambda: read_alone(archive)))
        for run, path in runs.items():
            times[run].append(scan("--format", "jsonl", "--jobs", str(run[1]), path, "-o", f"{folder}.jsonl"))
    best = {run: min(measured) for run, measured in times.items()}
    rows = [
        (form, jobs, f"{count / spent:.0f}", f"{best[form, 1] / spent:.2f}") for (form, jobs), spent in best.items()
    ]
    table(
        "input | jobs | pages a second | of one job", [*rows, ("WARC, read alone", 1, f"{count / min(alone):.0f}", "-")]
    )


def by_size(pages: Sequence[bytes], rounds: int) -> None:
    """Pages of one kind: paragraphs of the pages one after another, so that only the size differs."""
    detector = Detector()
    texts = [
        block.text
        for page in detector.scan_many(pages[:100], "html")
        if isinstance(page, Page)
        for block in page.blocks
    ]
    paragraphs = cycle(f"<p class=text>{html.escape(text)}</p>\n".encode() for text in texts)
    rows = []
    for size in SIZES:
        held, page = 0, []
        while held < size:
            page.append(next(paragraphs))
            held += len(page[-1])
        joined = b"".join(page)
        spent = statistics.median(seconds(lambda joined=joined: detector.scan(joined, "html")) for _ in range(rounds))
        rows.append((f"{size // 1000:,} KB", f"{1000 * spent:.1f}", f"{1e9 * spent / size:.1f}"))
    table("page | ms | ns a byte", rows)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--pages", "count", default=3_000, show_default=True)
@click.option("--long", default=20_000, show_default=True, help="Pages of the long run; 0 leaves it out.")
@click.option("--rounds", default=3, show_default=True)
def main(folder: str, count: int, long: int, rounds: int) -> None:
    """Print Markdown tables."""
    pages = pages_of(folder, count)
    click.echo(
        f"{len(pages)} pages, {sum(map(len, pages)) // len(pages) // 1000} KB each on average, {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_pages(pages, work / "pages")
        write_warc(pages, work / "pages.warc.gz")
        by_jobs(work / "pages", work / "pages.warc.gz", len(pages), rounds)
        by_size(pages, rounds)
        page = str(work / "pages" / "00000.html")
        one, two = (min(scan(*arguments) for _ in range(7)) for arguments in ((page,), (page, page)))
        table("start | s", [("one page", f"{one:.3f}"), ("two pages, processes started", f"{two:.3f}")])
        if long:
            rows = []
            for jobs in JOBS[:2]:
                first, most = memory(work / "pages", long, jobs, work / f"long{jobs}")
                rows.append((jobs, first, most, f"{100 * (most / max(first, 1) - 1):.1f} %"))
            table(f"jobs | MB after 1,000 pages | most until {long:,} | growth", rows)


if __name__ == "__main__":
    main()
