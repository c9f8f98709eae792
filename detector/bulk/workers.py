"""Processes that judge pages: they keep the order, and one that dies costs one page.

`concurrent.futures` and `multiprocessing.Pool` cannot say which page a process died on, and fork or import the user's
own program anew. Here each process is a plain Python that reads batches of pages on its standard input, answers page by
page on its standard output, and ends when its input ends, so that none outlives the one that started it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from detector.bulk.judge import ONE_THREAD, Aside, Work, WorkerError, answer
from detector.page import PageError

if TYPE_CHECKING:
    from detector.detector import Detector

_BATCH_PAGES = 16
_BATCH_WEIGHT = 1_000_000  # bytes; a batch is closed by the page that goes past it
_BATCHES_AHEAD = 3  # for each process: read, or done and waiting for their turn
_STARTS = 3  # tries to start a process that ends before it has a page

# The user's program is not imported; it may have found this package by its own ways.
_SERVE = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from detector.bulk.workers import serve; serve()"
)


def judge_in_processes(
    detector: Detector,
    work: Work,
    items: Iterator[Any],
    jobs: int,
    weight: Callable[[Any], int],
    page_timeout: float,
) -> Iterator[tuple[Any, Any]]:
    """As `judge`, which is what to call."""
    with _Pool(detector, work, jobs, page_timeout) as pool:
        pending: deque[tuple[list[Any], Future[list[Any]]]] = deque()
        for batch in _batches(items, weight):
            pending.append((batch, pool.submit([item for item in batch if not isinstance(item, Aside)])))
            if len(pending) > _BATCHES_AHEAD * jobs:
                yield from _in_order(*pending.popleft())
        while pending:
            yield from _in_order(*pending.popleft())


def serve() -> None:
    """The life of a process: a detector, work and seconds, then batches of pages; an answer to each page."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    detector, work, seconds = pickle.load(requests)
    _send(answers, None)  # ready
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            for page in pickle.load(requests):
                _die_after(seconds)
                _send(answers, answer(detector, work, page))
                _die_after(0)


def _die_after(seconds: float) -> None:
    """Let the system end this process then, also where compiled code does not come back; 0 takes it back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()


def _send(stream: Any, message: Any) -> None:
    pickle.dump(message, stream, pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _batches(items: Iterator[Any], weight: Callable[[Any], int]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    held = 0
    for item in items:
        batch.append(item)
        held += 0 if isinstance(item, Aside) else weight(item)
        if len(batch) >= _BATCH_PAGES or held >= _BATCH_WEIGHT:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _in_order(batch: list[Any], answers: Future[list[Any]]) -> Iterator[tuple[Any, Any]]:
    of_pages = iter(answers.result())
    for item in batch:
        yield item, None if isinstance(item, Aside) else next(of_pages)


class _Worker:
    """One process, started and ready."""

    def __init__(self, setup: bytes) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            start_new_session=True,  # Ctrl-C on the terminal reaches the one that started it, which ends it
        )
        self.setup = setup

    def is_ready(self) -> bool:
        assert self.process.stdin
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            self.process.stdin.write(self.setup)
            self.process.stdin.flush()
            pickle.load(self.process.stdout)  # type: ignore[arg-type]
            return True
        return False

    def answers(self, pages: Sequence[Any]) -> Iterator[Any]:
        """The answer to each page, as long as the process lives."""
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            _send(self.process.stdin, pages)
            for _ in pages:
                yield pickle.load(self.process.stdout)  # type: ignore[arg-type]

    def end(self) -> int:
        """End the process where it has not ended, and say how it did."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was not written yet has no reader
                pipe.close()  # type: ignore[union-attr]
        return self.process.wait()


class _Pool:
    """So many threads, of which each sends batches to a process, waits for its answers, and replaces it if it dies."""

    def __init__(self, detector: Detector, work: Work, jobs: int, page_timeout: float) -> None:
        self.setup = pickle.dumps(sys.path) + pickle.dumps((detector, work, page_timeout))
        self.page_timeout = page_timeout
        self.threads = ThreadPoolExecutor(jobs)
        self.idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(jobs):
            self.idle.put(None)  # started when the first batch comes
        self.alive: set[_Worker] = set()
        self.closing = False
        self.lock = threading.Lock()

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.closing = True
            for worker in self.alive:
                worker.process.kill()
        self.threads.shutdown(cancel_futures=True)
        for worker in self.alive:
            worker.end()

    def submit(self, pages: list[Any]) -> Future[list[Any]]:
        return self.threads.submit(self._answers, pages)

    def _answers(self, pages: list[Any]) -> list[Any]:
        """The answer to each page; the page on which a process died gets the error that says so."""
        worker = self.idle.get()
        answers: list[Any] = []
        try:
            while len(answers) < len(pages):
                if worker is None or worker.process.poll() is not None:
                    worker = self._replaced(worker)
                answers.extend(worker.answers(pages[len(answers) :]))
                if len(answers) < len(pages):
                    answers.append(self._error(worker.end()))
        finally:
            self.idle.put(worker)
        return answers

    def _replaced(self, dead: _Worker | None) -> _Worker:
        for _ in range(_STARTS):
            with self.lock:
                if dead:
                    self.alive.discard(dead)
                    dead.end()
                if self.closing:
                    raise WorkerError("the run is over")
                try:
                    worker = _Worker(self.setup)
                except OSError as error:
                    raise WorkerError(f"a process cannot be started ({error.strerror}): take fewer --jobs") from error
                self.alive.add(worker)
            if worker.is_ready():
                return worker
            dead = worker
        raise WorkerError(f"processes end before they have a page ({_told(worker.end())}): take fewer --jobs, or 1")

    def _error(self, status: int) -> PageError:
        timed_out = -signal.SIGALRM if hasattr(signal, "setitimer") else 1
        if status == timed_out:
            return PageError(f"given up after {self.page_timeout:g} s (--page-timeout)")
        return PageError(f"the process that judged it died ({_told(status)}): it met this page, or lacked memory")


def _told(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
