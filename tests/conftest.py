"""What several tests share. The labelled pages and the seed page are beside the checkout, and not everywhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from detector import Detector, native

TOP = Path(__file__).resolve().parent.parent
SHARED = TOP.parent / "shared"


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="session")
def example() -> Path:
    return TOP / "examples" / "article.html"


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = SHARED / "corpus"
    if not folder.is_dir():
        pytest.skip("the labelled real pages are not beside this checkout (rebuild them: training_data/README.md)")
    return folder


@pytest.fixture(scope="session")
def seed_page() -> str:
    path = SHARED / "seed" / "moscow_times.txt"
    if not path.is_file():
        pytest.skip("the seed page is not beside this checkout")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def reference():
    """training_data/corpus.py as a module."""
    spec = importlib.util.spec_from_file_location("corpus_reference", TOP / "training_data" / "corpus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["compiled", "numpy"])
def either_way(request, monkeypatch):
    """The test runs twice: with the compiled part, where it was built, and with what does its work elsewhere."""
    if request.param == "numpy":
        monkeypatch.setattr(native, "LIBRARY", None)
    elif native.LIBRARY is None:
        pytest.skip("the compiled part was not built: no C compiler when the package was installed")


@pytest.fixture(scope="session")
def pages(example) -> dict[str, str]:
    """What adapters meet, by name: HTML, bare text, a page to leave whole, and one that cannot be judged."""
    appeal = "We depend on our readers. Please support our journalism with a donation from $2 a month. Thank you."
    news = "The harbour office counted 212 ships in May, nine fewer than in the same month of the year before."
    return {
        "html": example.read_text(encoding="utf-8"),
        "text": f"{news}\n\nMost of them carried timber, and a few carried salt.\n\n{appeal}",
        "whole": f"{appeal}\n\n{appeal}",
        "bad": "— … —",
    }
