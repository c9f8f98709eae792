"""Judges every paragraph of a web page: editorial, donation appeal, paywall or other.

>>> from detector import Detector
>>> page = Detector().scan(html)  # doctest: +SKIP
>>> [block.label for block in page.blocks]  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.page import KINDS, LABELS, Block, Page, PageError

if TYPE_CHECKING:
    from detector.detector import Detector
    from detector.model import ModelError

__version__ = "0.1.0"
__all__ = ["KINDS", "LABELS", "Block", "Detector", "ModelError", "Page", "PageError", "__version__"]

_LATE = {"Detector": "detector.detector", "ModelError": "detector.model"}


def __getattr__(name: str) -> Any:
    """What needs numpy, imported when it is first asked for: the command line answers sooner without."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATE[name]), name)
