from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from detector import Detector, __version__
from detector.cli import main
from detector.page import FLAGGED

APPEAL = "We depend on our readers. Please support our journalism with a donation from $2 a month. Thank you."
PARAGRAPHS = [
    "Old bridge to close for repairs until spring",
    "The council voted on Tuesday to close the old bridge, which has carried traffic since 1931, for repairs.",
    '"We found cracks in two of the arches last autumn," said Anna Berg, who has run the road office since 1999.',
    "Buses will take the long way round by the mill, and the ferry, which stopped in 1964, is to run on weekends.",
    "Work is expected to begin in January and to cost some 2 million. The mayor hopes that the bridge opens in April.",
]
ARTICLE = "\n\n".join(PARAGRAPHS)
CLEANED = "".join(f"{paragraph}\n" for paragraph in PARAGRAPHS)
LABELS = ["editorial"] * len(PARAGRAPHS) + ["donation"]


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **options)


@pytest.fixture
def pages(tmp_path, example):
    folder = tmp_path / "pages"
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(example, folder / "a.html")
    (folder / "b.txt").write_text(f"{ARTICLE}\n\n{APPEAL}\n")
    (folder / "deeper" / "c.html.gz").write_bytes(
        gzip.compress("".join(f"<p>{text}</p>" for text in PARAGRAPHS).encode())
    )
    (folder / "notes.pdf").write_bytes(b"%PDF")
    return folder


class TestScan:
    def test_table_has_a_line_a_block(self, example):
        result = run("scan", example)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0].startswith(str(example))
        assert len(lines) == 2 + len(Detector().scan(example.read_bytes()).blocks)
        assert "\x1b" not in result.stdout

    def test_jsonl_is_an_object_a_page_in_input_order(self, pages):
        result = run("scan", "--format", "jsonl", pages / "b.txt", pages)
        assert result.exit_code == 0
        found = [json.loads(line) for line in result.stdout.splitlines()]
        names = [os.path.relpath(page["path"], pages) for page in found]
        assert names == ["b.txt", "a.html", "b.txt", os.path.join("deeper", "c.html.gz")]
        first = found[0]["blocks"]
        assert [block["label"] for block in first] == LABELS
        assert first[-1].keys() == {"text", "label", "kind", "score", "start", "end"}
        assert found[1]["blocks"][0].keys() == {"text", "label", "kind", "score", "xpath"}

    def test_text_is_a_line_a_block_with_tabs(self, pages):
        path = pages / "b.txt"
        rows = [line.split("\t") for line in run("scan", "--format", "text", path).stdout.splitlines()]
        assert [row[0] for row in rows] == [str(path)] * len(rows)
        assert [row[1] for row in rows] == LABELS
        assert [row[4] for row in rows] == [*PARAGRAPHS, APPEAL]

    def test_standard_input(self):
        result = run("scan", "--format", "jsonl", "-", input=f"{ARTICLE}\n\n{APPEAL}")
        assert [block["label"] for block in json.loads(result.stdout)["blocks"]] == LABELS

    def test_output_goes_to_a_file(self, pages, tmp_path):
        out = tmp_path / "out.jsonl"
        assert run("scan", "--format", "jsonl", "-o", out, pages).stdout == ""
        assert len(out.read_text().splitlines()) == 3

    def test_threshold_and_input_are_heeded(self, pages):
        result = run("scan", "--format", "jsonl", "--threshold", 1, "--input", "html", pages / "b.txt")
        (block,) = json.loads(result.stdout)["blocks"]
        assert block["label"] == "editorial"
        assert block["xpath"] == "/html[1]/body[1]"

    def test_control_characters_of_a_page_do_not_reach_the_terminal(self):
        assert "\x1b" not in run("scan", "-", input="Rain \x1b[31m fell on the old town today.").stdout


class TestClean:
    def test_text(self, pages):
        result = run("clean", pages / "b.txt")
        assert (result.exit_code, result.stdout) == (0, CLEANED)

    def test_html_to_a_folder_keeps_the_tree(self, pages, tmp_path):
        out = tmp_path / "out"
        result = run("clean", "--to", "html", "--input", "html", pages, "-o", f"{out}/")
        assert result.exit_code == 0
        assert sorted(str(path.relative_to(out)) for path in out.rglob("*.html")) == [
            "a.html",
            "b.html",
            "deeper/c.html",
        ]
        assert PARAGRAPHS[-1] in (out / "deeper" / "c.html").read_text()

    def test_many_pages_to_one_file(self, pages, tmp_path):
        out = tmp_path / "out.txt"
        assert run("clean", pages / "b.txt", pages / "deeper", "-o", out).exit_code == 0
        assert out.read_text() == CLEANED * 2

    def test_drop_takes_labels_and_kinds(self, pages):
        assert run("clean", "--drop", "paywall", pages / "b.txt").stdout == f"{CLEANED}{APPEAL}\n"
        assert run("clean", "--drop", "donation,newsletter", pages / "b.txt").stdout == CLEANED
        result = run("clean", "--drop", "banner", pages / "b.txt")
        assert result.exit_code == 2
        assert "banner" in result.stderr

    def test_a_page_flagged_beyond_belief_is_reported(self, tmp_path):
        path = tmp_path / "appeal.txt"
        path.write_text(f"{APPEAL}\n\n{APPEAL}\n")
        result = run("clean", path)
        assert (result.exit_code, result.stdout) == (0, f"{APPEAL}\n{APPEAL}\n")
        assert "left whole" in result.stderr

    def test_html_of_plain_text_fails(self, pages):
        result = run("clean", "--to", "html", pages / "b.txt", pages / "a.html")
        assert result.exit_code == 1
        assert "plain text" in result.stderr
        assert "Kolva" in result.stdout


class TestBadInput:
    def test_each_failure_is_a_line_and_the_rest_is_done(self, pages, tmp_path):
        bad = {
            "empty.html": b"",
            "binary.html": b"\x00\x01\x02\x03",
            "textless.html": b"<html><body><img src=x></body></html>",
            "cut.html.gz": gzip.compress(b"<p>" + os.urandom(3000) + b"</p>")[:900],
            "plain.html.gz": b"<p>not packed</p>",
        }
        for name, content in bad.items():
            (pages / name).write_bytes(content)
        result = run("scan", "--format", "jsonl", pages, tmp_path / "missing.html", tmp_path)
        assert result.exit_code == 1
        assert len(result.stdout.splitlines()) == 6  # three good pages, found twice
        lines = result.stderr.splitlines()
        assert len(lines) == 2 * len(bad) + 2
        assert lines[-1].startswith("6 pages, ")
        assert lines[-1].endswith("11 failed")
        for name in [*bad, "missing.html"]:
            assert any(name in line for line in lines)

    def test_a_folder_without_pages(self, tmp_path):
        result = run("scan", tmp_path)
        assert result.exit_code == 1
        assert "no page in this folder" in result.stderr

    def test_an_unreadable_folder(self, pages, monkeypatch):
        real = os.scandir

        def scandir(path):
            if str(path).endswith("deeper"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)  # permissions do not bind the user that many test machines have
        result = run("scan", "--format", "jsonl", pages)
        assert result.exit_code == 1
        assert len(result.stdout.splitlines()) == 2
        assert "deeper: cannot be read (Permission denied)" in result.stderr

    def test_a_gzip_bomb(self, tmp_path):
        path = tmp_path / "bomb.html.gz"
        with gzip.open(path, "wb", compresslevel=9) as file:
            for _ in range(100):
                file.write(b" " * 1_000_000)
        result = run("scan", path)
        assert result.exit_code == 1
        assert "larger than" in result.stderr

    def test_a_wrong_encoding_label_is_passed_over(self, tmp_path):
        path = tmp_path / "page.html"
        path.write_bytes(f"<meta charset=utf-99><p>{ARTICLE}, déjà vu</p>".encode())
        assert "déjà vu" in run("scan", "--format", "text", path).stdout

    def test_a_model_that_is_none(self, tmp_path, example):
        model = tmp_path / "m.safetensors"
        model.write_text("no model")
        for arguments in (("scan", example), ("clean", example), ("info",)):
            result = run(*arguments, "--model", model)
            assert result.exit_code == 1
            assert result.stdout == ""
            assert f"{model}: not a model" in result.stderr

    def test_a_file_that_cannot_be_written_is_one_error(self, example, tmp_path):
        result = run("scan", example, "-o", tmp_path / "none" / "out.txt")
        assert result.exit_code == 1
        assert "cannot be written" in result.stderr

    def test_a_failed_run_leaves_the_old_output_alone(self, example, tmp_path, monkeypatch):
        out = tmp_path / "out.txt"
        out.write_text("old")
        monkeypatch.setattr("detector.bulk.report.Report.page", lambda *_: 1 / 0)
        run("scan", "--format", "jsonl", example, "-o", out)
        assert out.read_text() == "old"
        assert os.listdir(tmp_path) == ["out.txt"]

    @pytest.mark.parametrize(
        "arguments", [[], ["scan"], ["scan", "--format", "xml", "-"], ["nothing"], ["scan", "--threshold", "2", "-"]]
    )
    def test_wrong_usage(self, arguments):
        assert run(*arguments).exit_code == 2


class TestOthers:
    def test_version_and_help(self):
        assert run("--version").stdout.strip() == f"detector, version {__version__}"
        for command in main.commands:
            text = run(command, "--help").stdout
            assert f"Example:\n    detector {command}" in text or "Example:\n    curl" in text

    def test_info_shows_the_card(self):
        result = run("info")
        assert result.exit_code == 0
        assert "recall long" in result.stdout

    def test_training_without_its_packages_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn", None)
        for name in [
            name for name in sys.modules if name.startswith(("detector.training.fit", "detector.training.train"))
        ]:
            monkeypatch.delitem(sys.modules, name)
        result = run("train", tmp_path, "-o", tmp_path / "m.safetensors")
        assert result.exit_code == 1
        assert "pip install 'paywall-detector[train]'" in result.stderr

    def test_as_a_process_in_a_pipe(self):
        command = [sys.executable, "-m", "detector", "clean", "-"]
        done = subprocess.run(command, input=f"{ARTICLE}\n\n{APPEAL}".encode(), capture_output=True, check=True)
        assert done.stdout.decode() == CLEANED
        assert done.stderr == b""

    def test_completion_knows_the_commands(self):
        environment = os.environ | {"_DETECTOR_COMPLETE": "bash_complete", "COMP_WORDS": "detector ", "COMP_CWORD": "1"}
        command = [sys.executable, "-c", "from detector.cli import main; main(prog_name='detector')"]
        done = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
        assert "plain,scan" in done.stdout

    def test_colour_only_on_a_terminal_that_wants_it(self, example, monkeypatch):
        class Screen(io.StringIO):
            def isatty(self):
                return True

        from detector.bulk.tasks import Terminal, table

        page = Detector().scan(example.read_bytes())
        assert any(block.label in FLAGGED for block in page.blocks)
        monkeypatch.setattr(sys, "stdout", Screen())
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert "\x1b[" in table("a", page, Terminal())
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b[" not in table("a", page, Terminal())
