"""What documents say is what the programs print."""

from __future__ import annotations

import importlib.util
import re

from conftest import TOP

from detector import Detector
from detector.cli import main


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_reference_is_the_commands_own_help():
    assert (TOP / "docs" / "cli.md").read_text(encoding="utf-8") == load(TOP / "docs" / "write_help.py").help_text()


def test_the_readme_shows_the_example_as_it_prints(example):
    from detector.bulk.tasks import Terminal, table

    readme = (TOP / "README.md").read_text(encoding="utf-8")
    page = Detector().scan(example.read_bytes())
    printed = [line.rstrip() for line in table("examples/article.html", page, Terminal()).rstrip().splitlines()]
    block = re.search(r"    \$ detector scan examples/article.html\n(.*?)\n\n", readme, re.DOTALL)
    assert [line.strip() for line in block[1].splitlines()] == printed


def test_every_command_is_told_in_the_readme():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    for name in set(main.commands):
        assert f"detector {name}" in readme


def test_the_figures_of_a_segment_are_those_that_follow_from_the_measured_speeds():
    assert load(TOP / "benchmarks" / "segment.py").table() in (TOP / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_counts_in_the_training_datas_readme_are_those_of_the_data():
    counts = load(TOP / "training_data" / "counts.py")
    readme = counts.README.read_text(encoding="utf-8")
    assert counts.written() in readme
    assert counts.corpus() in readme
