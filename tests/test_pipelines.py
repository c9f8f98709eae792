"""Every recipe of docs/pipelines.md runs as it stands, where its tool is installed; .ci/run has environments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOP

NEWS = (
    "The town library will open on Sundays from March, the council decided on Thursday by nine votes to four.",
    "Two librarians asked for a later start: on Sundays the first bus from the villages arrives at eleven.",
    "The house on Mill Street dates from 1911 and holds 40,000 volumes, among them the papers of the weavers' guild.",
    "Ilse Brandt, the mayor, called the vote a small step with a long queue behind it, and left for the car park.",
)
ASK = "Stories like this one need your help: please support our newsroom with a donation from $3 a month. Thank you!"
PAGE = f"""<!DOCTYPE html><html lang="en"><head><title>Library to open on Sundays</title></head><body>
<nav><a href="/">Home</a> <a href="/town">Town</a></nav>
<article><h1>Library to open on Sundays</h1>{"".join(f"<p>{text}</p>" for text in NEWS)}
<p class="donate-box">{ASK}</p></article>
<footer><a href="/about">About us</a></footer></body></html>"""

SECTION = re.compile(r"^## (.+?)\n.*?^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RECIPES = {title: (kind, code) for title, kind, code in SECTION.findall((TOP / "docs" / "pipelines.md").read_text())}
TOOLS = ("datatrove", "newspaper", "ray", "readability", "resiliparse", "scrapy", "spacy", "trafilatura")


@pytest.fixture
def run(tmp_path):
    """Runs a recipe where its files are, and gives what it prints."""
    (tmp_path / "article.html").write_text(PAGE)
    (tmp_path / "article.txt").write_text("\n\n".join((*NEWS, ASK)))
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "0.jsonl").write_text(json.dumps({"id": "a", "url": "https://example.org/", "text": PAGE}))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}

    def run(kind, code):
        script = tmp_path / "recipe"
        script.write_text(code)
        command = {"python": (sys.executable,), "sh": ("bash", "-euo", "pipefail")}[kind]
        done = subprocess.run(
            [*command, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def needs(code):
    """Skip where a tool that the code names is not installed."""
    for tool in TOOLS:
        if re.search(rf"\b{tool}\b", code):
            pytest.importorskip(tool, reason=f"{tool} is not installed; .ci/run tests it in an environment that has it")


@pytest.mark.parametrize("title", RECIPES)
def test_recipe(run, title):
    kind, code = RECIPES[title]
    needs(code)
    printed = run(kind, code)
    times = 2 if re.search(r"# behind|\| detector", code) else 1  # what it prints in front and behind
    for sentence in NEWS:
        assert printed.count(sentence) == times
    assert "support our newsroom" not in printed


def test_every_tool_has_its_recipe():
    assert list(RECIPES) == [
        *("Shell", "Text in, text out", "trafilatura", "readability-lxml", "newspaper4k", "resiliparse", "spaCy"),
        *("Scrapy", "datatrove", "Ray"),
    ]


def test_the_page_is_one_that_extractors_leave_the_ask_in():
    trafilatura = pytest.importorskip("trafilatura", reason="the bench extra is not installed")
    assert "support our newsroom" in trafilatura.extract(PAGE)
