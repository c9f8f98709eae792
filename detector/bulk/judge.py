"""Pages are judged in their order, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from detector.page import PageError

if TYPE_CHECKING:
    from detector.detector import Detector

PAGE_TIMEOUT = 10.0
"""Seconds that a page may take; those of labelled pages take some thousandths."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""The environment in which numpy starts no threads: a page's products are small, and beside other processes that keep
the cores busy, threads made them four times as slow."""

Work = Callable[["Detector", Any], Any]
"""What is done with a page: the detector and the page -> anything that can be pickled. Raises PageError."""


class Aside:
    """An item among the pages that no process sees, and that keeps its place."""


class WorkerError(RuntimeError):
    """Processes cannot be started; the message says why and what to do."""


def judge(
    detector: Detector,
    work: Work,
    items: Iterable[Any],
    jobs: int,
    weight: Callable[[Any], int],
    page_timeout: float = PAGE_TIMEOUT,
) -> Generator[tuple[Any, Any], None, None]:
    """Each item and what came of it, in order; a page that fails gives its PageError, an `Aside` None.

    Parameters
    ----------
    detector, work
        What judges, and what is done with each page.
    items : iterable
        Pages, and `Aside`.
    jobs : int
        Processes; with 1, and for a single page, this one, which cannot give up a page.
    weight
        How many bytes a page sends to the process that judges it.
    page_timeout : float
        Seconds after which a page is given up.

    Raises
    ------
    WorkerError
        No process can be started.
    """
    items = iter(items)
    first, pages = [], 0
    for item in items:
        first.append(item)
        pages += not isinstance(item, Aside)
        if jobs == 1 or pages == 2:
            break
    items = chain(first, items)
    if jobs == 1 or pages < 2:
        for item in items:
            yield item, None if isinstance(item, Aside) else answer(detector, work, item)
        return
    # Imported here, as few runs of a single page need what starts processes.
    from detector.bulk.workers import judge_in_processes

    yield from judge_in_processes(detector, work, items, jobs, weight, page_timeout)


def answer(detector: Detector, work: Work, page: Any) -> Any:
    """What comes of a page, its PageError where it fails; that it fails by a fault of ours does not end the run."""
    try:
        return work(detector, page)
    except PageError as error:
        return error
    except MemoryError:
        return PageError("judging it needs more memory than there is")
    except Exception as error:
        return PageError(f"it met a fault of the detector, please report it ({type(error).__name__}: {error})")
