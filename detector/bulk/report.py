"""What users are told on standard error: failures, progress on a terminal, and a summary."""

from __future__ import annotations

import time
from collections import Counter

import click

from detector.bulk.tasks import Done
from detector.page import LABELS

_SECONDS_BETWEEN = 0.2
_CLEAR = "\r\x1b[K"


class Report:
    """Counts what came of the pages; shows progress where ``total`` is given, the bytes of all inputs or 0."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.pages = self.failures = self.kept = self.read = 0
        self.labels: Counter[str] = Counter()
        self.start = self.shown = time.monotonic()

    def page(self, place: str, done: Done) -> None:
        """Count a page."""
        self.pages += 1
        self.labels.update(done.labels)
        if done.remark:
            self._tell(f"{place}: {done.remark}")

    def failure(self, place: str, error: Exception) -> None:
        """Count a failure, and tell it."""
        self.failures += 1
        self._tell(f"{place}: {error}")

    def progress(self, size: int) -> None:
        """Count the bytes of a page, and show how far it is."""
        self.read += size
        now = time.monotonic()
        if self.total is not None and now - self.shown >= _SECONDS_BETWEEN:
            self.shown = now
            click.echo(_CLEAR + self._line(now - self.start), err=True, nl=False)

    def summary(self) -> None:
        """Tell what was done, where it was more than one page."""
        if self.total is not None and self.shown > self.start:
            click.echo(_CLEAR, err=True, nl=False)
        if self.pages + self.failures + self.kept < 2:
            return
        counts = ", ".join(f"{self.labels[label]:,} {label}" for label in LABELS)
        kept = f"; {self.kept:,} files kept of the run before" if self.kept else ""
        blocks = sum(self.labels.values())
        click.echo(f"{self.pages:,} pages, {blocks:,} blocks ({counts}), {self.failures:,} failed{kept}", err=True)

    def _tell(self, line: str) -> None:
        click.echo((_CLEAR if self.total is not None else "") + line, err=True)

    def _line(self, seconds: float) -> str:
        left = ""
        if self.total and self.read:
            left = f", {_duration(seconds * max(self.total - self.read, 0) / self.read)} left"
        rate = (self.pages + self.failures) / seconds
        return f"{self.pages:,} pages, {rate:,.0f} a second, {self.failures:,} failed{left}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
