"""What one Common Crawl segment takes: the table of docs/scale.md, from the speeds that benchmarks/README.md has.

python benchmarks/segment.py
"""

from __future__ import annotations

import re
from pathlib import Path

PAGES = 2.64e9
"""Of the crawl of December 2024, as its announcement has it."""

SEGMENTS = 100
"""That a crawl is divided into."""

CORES = 16
"""Of one machine."""

EFFICIENCY = 0.9
"""Of a core among others: two jobs are at least 1.8 times as fast as one."""

WORK = ("HTML in, labels out", "HTML in, clean HTML out", "text in, labels out")
"""The rows of speed.py that are worked out."""


def speeds() -> dict[str, float]:
    """Pages a second in one process, by the work."""
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    return {work: float(re.search(rf"^\| detector, {work} \| (\d+) \|", readme, re.MULTILINE)[1]) for work in WORK}


def table() -> str:
    """A Markdown table."""
    lines = [
        f"| | pages a second a core | core hours | one machine of {CORES} cores | ten | all segments, ten |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for work, speed in speeds().items():
        core_hours = PAGES / SEGMENTS / speed / 3600
        hours = core_hours / CORES / EFFICIENCY
        times = " | ".join(duration(value) for value in (hours, hours / 10, hours / 10 * SEGMENTS))
        lines.append(f"| {work} | {speed:.0f} | {core_hours:.0f} | {times} |")
    return "\n".join(lines) + "\n"


def duration(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h"


if __name__ == "__main__":
    print(table(), end="")
