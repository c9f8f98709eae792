"""From inputs to outputs: pages are found, judged in processes, and written in their order."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

from detector.bulk.jsonl import packed
from detector.bulk.judge import Aside, judge
from detector.bulk.report import Report
from detector.bulk.resume import is_whole
from detector.bulk.sources import STDIN, Failure, Input, Source, find_inputs, open_input, stem
from detector.bulk.tasks import Clean, Done, Scan, Task
from detector.output import whole_file
from detector.page import PageError

if TYPE_CHECKING:
    from detector.detector import Detector

PAGES_A_FILE = 1_000
"""Labels of so many single pages go into one file of a folder."""

STDOUT = "-"

_ENDINGS = {"table": "txt", "text": "txt", "jsonl": "jsonl", "dolma": "jsonl", "parquet": "parquet"}
_TAKEN = "what is written of another page or file would have the same name: do them one by one, into other folders"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class OutputError(Exception):
    """What came of the pages cannot be written; the message names the file and says what to do."""


class Paths:
    """The paths that users name, and those in a list, one a line, which is read anew each time."""

    def __init__(self, named: Iterable[str], listed: str | None) -> None:
        self.named = tuple(named)
        self.listed: IO[bytes] | None = None
        if listed:
            file = sys.stdin.buffer if listed == STDIN else open(listed, "rb")  # noqa: SIM115  (as long as it is needed)
            self.listed = file if file.seekable() else _kept(file)

    def __iter__(self) -> Iterator[str]:
        yield from self.named
        if self.listed:
            self.listed.seek(0)
            for line in self.listed:
                if name := line.rstrip(b"\r\n"):
                    yield os.fsdecode(name)


def _kept(stream: BinaryIO) -> IO[bytes]:
    """What comes on a stream, on disk, as it may be long."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (as above)
    file.writelines(stream)
    return file


@dataclass(frozen=True, slots=True)
class _Opening(Aside):
    """From here on, what came of the pages goes into this file; ``pages`` are where they come from."""

    path: str
    pages: Any = None


@dataclass
class Run:
    """One run of a command.

    Parameters
    ----------
    detector, task
        What judges, and what is done with each page.
    paths
        The inputs, as for `find_inputs`.
    output : str
        A file, "-", or a folder, where ``in_folder`` is set.
    column
        As for `open_input`.
    jobs, page_timeout
        As for `detector.bulk.judge.judge`.
    resume
        Files of the folder that are whole are kept.
    report
        Told what comes of each page.
    """

    detector: Detector
    task: Task
    paths: Iterable[str]
    output: str
    in_folder: bool
    column: str | None
    jobs: int
    page_timeout: float
    resume: bool
    report: Report
    files: ExitStack = field(default_factory=ExitStack)
    sink: Any = None
    path: str = ""
    form: str = ""
    folder: str = ""
    taken: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Judge all pages and write what comes of them.

        Raises
        ------
        OutputError
            It cannot be written.
        WorkerError
            Processes cannot be started.
        """
        results = judge(self.detector, self.task, self._items(), self.jobs, _weight, self.page_timeout)
        with contextlib.closing(results), self.files:
            for item, done in results:
                if isinstance(item, _Opening):
                    self._open(item)
                elif isinstance(item, Failure):
                    self.report.failure(item.place, item.error)
                else:
                    self._write(item, done)
                    self.report.progress(item.size)
            self._close()

    # Which pages there are, and into which files they go

    def _items(self) -> Iterator[Source | Aside]:
        """The pages in order, and before those that go into another file, its opening."""
        single = _Shards(self, _ENDINGS.get(getattr(self.task, "form", ""), ""))
        for item in find_inputs(self.paths):
            if isinstance(item, Failure):
                yield item
            elif item.form != "page" or item.path == STDIN:
                single.end()
                yield from self._container(item)
            else:
                page = Source(item.path, item.name, item.size)
                if not self.in_folder:
                    yield from self._in_one_file(item, "pages", [page])
                elif isinstance(self.task, Scan):
                    yield from single.pages(page)
                elif not self._is_new(self._own_file(page)):
                    yield Failure(item.path, PageError(_TAKEN))
                elif not self._is_kept(self._own_file(page)):
                    yield page

    def _container(self, item: Input) -> Iterator[Source | Aside]:
        """The pages of a file that may hold many."""
        path = os.path.join(self.output, self._name(item))
        if self.in_folder and not self._is_new(path):
            yield Failure(item.path, PageError(_TAKEN))
            return
        if self.in_folder and self._is_kept(path):
            return
        try:
            pages: Any = open_input(item, self.column)
            is_table = item.form == "parquet" and isinstance(self.task, Clean)
            if is_table:
                pages.keep_rows()
            if self.in_folder and os.path.exists(path) and os.path.samefile(path, item.path):
                raise PageError("its output would take its place: name another folder")
        except PageError as error:
            yield Failure(item.path, error)
            return
        if isinstance(pages, list) and self._has_own_file(pages[0]):  # a page on standard input
            yield from pages
        elif self.in_folder:
            yield _Opening(path, pages)
            yield from pages
        else:
            yield from self._in_one_file(
                item, "table" if is_table else "pages" if isinstance(pages, list) else "rows", pages
            )

    def _in_one_file(self, item: Input, form: str, pages: Any) -> Iterator[Source | Aside]:
        """The pages of an input, if what is written of them can follow what is in the file already."""
        form = "labels" if isinstance(self.task, Scan) else form
        if form == "table" and self.output == STDOUT:
            yield Failure(item.path, PageError("a table is not written to standard output: name a file with -o"))
        elif self.form and (form != self.form or form == "table"):
            told = "pages, rows and tables do not go into one file: name a folder with -o, ending in /"
            yield Failure(item.path, PageError(told))
        else:
            if not self.form:
                self.form = form
                yield _Opening(self.output, pages)
            yield from pages

    def _is_new(self, path: str) -> bool:
        """Whether nothing of this run goes into that file; files of one folder follow each other, and are compared."""
        if os.path.dirname(path) != self.folder:
            self.folder, self.taken = os.path.dirname(path), set()
        is_new = path not in self.taken
        self.taken.add(path)
        return is_new

    def _is_kept(self, path: str) -> bool:
        """Whether a file of a broken run is kept; that is counted."""
        kept = self.resume and is_whole(Path(path), Path(self.output))
        self.report.kept += kept
        return kept

    def _name(self, item: Input) -> str:
        """The name, in the folder, of what is written of a file that holds many pages."""
        if isinstance(self.task, Scan):
            return item.name if self.task.form == "dolma" else f"{item.name}.{_ENDINGS[self.task.form]}"
        return item.name if item.form in ("jsonl", "parquet") else f"{item.name}.jsonl"

    def _has_own_file(self, source: Source) -> bool:
        return self.in_folder and isinstance(self.task, Clean) and type(source) is Source

    def _own_file(self, source: Source) -> str:
        to = "html" if isinstance(self.task, Clean) and self.task.to == "html" else "txt"
        return os.path.join(self.output, f"{stem(source.name)}.{to}")

    # Writing

    def _write(self, source: Source, done: Any) -> None:
        failed = isinstance(done, PageError)
        if self._has_own_file(source):
            if not failed:
                done = self._written_alone(source, done)
        elif output := self.task.failed(source) if failed else done.output:
            with _writing(self.path, self.in_folder):
                self.sink.write(output)
        if isinstance(done, PageError):
            self.report.failure(source.place, done)
        else:
            self.report.page(source.place, done)

    def _written_alone(self, source: Source, done: Done) -> Done | PageError:
        """Write a page's own file. A full disk ends the run; a name that cannot be had is one page's failure."""
        path = Path(self._own_file(source))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                file.write(done.output)
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise _output_error(str(path), error, can_resume=True) from error
            return PageError(f"{path} cannot be written ({error.strerror or error})")
        return done

    def _open(self, opening: _Opening) -> None:
        self._close()
        self.path = opening.path
        with _writing(self.path, self.in_folder):
            if self.path == STDOUT:
                self.sink = _Stdout()
                return
            if self.in_folder:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            file = self.files.enter_context(whole_file(Path(self.path)))
            self.sink = self._sink(file, opening.pages)
            self.files.callback(self.sink.close)

    def _sink(self, file: BinaryIO, pages: Any) -> Any:
        if isinstance(self.task, Scan) and self.task.form == "parquet":
            from detector.bulk.parquet import ScannedTable

            return ScannedTable(file)
        if isinstance(self.task, Clean) and hasattr(pages, "keep_rows"):
            from detector.bulk.parquet import CleanedTable

            return CleanedTable(file, pages)
        return packed(file, self.path)

    def _close(self) -> None:
        """End the file that is open: from here on it is there, whole."""
        with _writing(self.path, self.in_folder):
            self.files.close()


class _Shards:
    """Single pages whose labels go into a folder, so many to a file."""

    def __init__(self, run: Run, ending: str) -> None:
        self.run, self.ending = run, ending
        self.count = self.held = 0
        self.is_kept = False

    def pages(self, page: Source) -> Iterator[Source | Aside]:
        """The page, where its file is not kept, and before it the opening of a new file where one begins."""
        if self.held % PAGES_A_FILE == 0:
            path = os.path.join(self.run.output, f"pages-{self.count:05}.{self.ending}")
            self.count, self.is_kept = self.count + 1, self.run._is_kept(path)
            if not self.is_kept:
                yield _Opening(path)
        self.held += 1
        if not self.is_kept:
            yield page

    def end(self) -> None:
        """Let the next page begin a new file."""
        self.held = 0


class _Stdout:
    """Standard output, each page of which goes on at once."""

    def write(self, output: bytes) -> None:
        click.echo(output, nl=False)


@contextlib.contextmanager
def _writing(path: str, can_resume: bool) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever read standard output has seen enough
        raise
    except OSError as error:
        raise _output_error(path, error, can_resume) from error


def _output_error(path: str, error: OSError, can_resume: bool) -> OutputError:
    todo = ""
    if error.errno in _DISK_FULL:
        todo = ": free space, then " + ("go on with --resume" if can_resume else "run it again")
    name = "standard output" if path == STDOUT else path
    return OutputError(f"{name}: cannot be written ({error.strerror or error}){todo}")


def _weight(source: Source) -> int:
    return source.weight
