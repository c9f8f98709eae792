"""What the adapters share; each one's own test is named after its tool, and skips where that is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from detector import PageError
from detector.adapters.cleaning import Cleaner


def test_cleaning_gives_what_the_api_gives(detector, pages):
    cleaned = Cleaner().clean(pages["html"])
    page = detector.scan(pages["html"])
    assert cleaned.page == page
    assert cleaned.text == detector.clean(pages["html"])
    assert list(cleaned.removed) == [block for block in page.blocks if block.label in ("donation", "paywall")]
    assert cleaned.left_whole is None
    settings = Cleaner("html", ["other"], threshold=0.9)
    assert settings.clean(pages["html"]).text != detector.clean(pages["html"], "html", ["other"])
    assert Cleaner("html", ["other"]).clean(pages["html"]).text == detector.clean(pages["html"], "html", ["other"])


def test_a_page_that_is_left_whole_is_remarked(pages):
    cleaned = Cleaner().clean(pages["whole"])
    assert cleaned.removed == ()
    assert cleaned.left_whole == "left whole: 100% of its prose was flagged"


@pytest.mark.parametrize("page", [None, 7, "", b"%PDF-1.7"])
def test_what_is_no_page_is_a_page_error(page):
    with pytest.raises(PageError):
        Cleaner().clean(page)


def test_no_tool_is_imported_before_its_module_is():
    code = (
        "import sys, detector, detector.cli, detector.adapters, detector.adapters.cleaning;"
        "print(*{'scrapy', 'itemadapter', 'datatrove', 'ray', 'pyarrow', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
