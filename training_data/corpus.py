"""The corpus by reference: write it from a labelled folder, and rebuild the folder from public repositories.

    python training_data/corpus.py rebuild -o FOLDER     fetch the pages with git and label them; run again to resume
    python training_data/corpus.py write FOLDER          write corpus.jsonl from a labelled folder

corpus.jsonl holds one page a line: where it lies in a public git repository, its language and publisher, and for each
block, as this package cuts it, the first 8 hex digits of the SHA-256 of its text and one letter for its label. It holds
no text.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import click

from detector.encoding import decode
from detector.output import whole_file
from detector.page import PageError
from detector.segment import segment_html
from detector.training.data import LABELS_FILE, read_pages, segmented, text_hash

REFERENCE = Path(__file__).with_name("corpus.jsonl")
LETTERS = {
    "editorial": "e",
    "donation": "d",
    "paywall": "p",
    "newsletter": "n",
    "consent": "k",
    "advert": "a",
    "teaser": "t",
    "comment": "c",
    "furniture": "f",
    "unclear": "u",
}
LABELS = {letter: label for label, letter in LETTERS.items()}
PLACE = ("id", "repository", "commit", "path", "lang", "group", "access")


@click.group()
def main() -> None:
    """The corpus by reference."""


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=REFERENCE)
def write(folder: Path, output: Path) -> None:
    """Write corpus.jsonl from a labelled folder whose pages name their repository, commit and path."""
    lines = (folder / LABELS_FILE).read_text(encoding="utf-8").splitlines()
    with whole_file(output) as file:
        for line, page in zip(lines, read_pages([folder]), strict=True):
            fields = json.loads(line)
            cut, labels = segmented(page)
            row = {name: fields[name] for name in PLACE}
            row["blocks"] = "".join(map(text_hash, cut.texts))
            row["labels"] = "".join(LETTERS[label] for label in labels)
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())


@main.command()
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder.")
@click.option("--reference", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=REFERENCE)
@click.option(
    "--remote", default="https://github.com/{repository}.git", show_default=True, help="Where repositories are."
)
def rebuild(output: Path, reference: Path, remote: str) -> None:
    """Fetch every page and write a labelled folder; says what it could not get, and then ends with status 1."""
    rows = [json.loads(line) for line in reference.read_text(encoding="utf-8").splitlines()]
    (output / "pages").mkdir(parents=True, exist_ok=True)
    missing = [row for row in rows if not page_file(output, row).exists()]
    problems: dict[str, str] = {}
    by_commit = defaultdict(list)
    for row in missing:
        by_commit[row["repository"], row["commit"]].append(row)
    for number, ((repository, commit), wanted) in enumerate(by_commit.items(), 1):
        click.echo(f"{number} of {len(by_commit)}: {len(wanted)} pages of {repository}", err=True)
        clone = output / "repositories" / repository.replace("/", "__")
        problems |= fetch(clone, remote.format(repository=repository), commit, wanted, output)
    label_pages(rows, output, problems)
    for page_id, problem in sorted(problems.items()):
        click.echo(f"{page_id}: {problem}")
    click.echo(f"{len(rows) - len(problems)} of {len(rows)} pages", err=True)
    sys.exit(1 if problems else 0)


def page_file(folder: Path, row: dict[str, Any]) -> Path:
    return folder / "pages" / f"{row['id']}.html.gz"


def fetch(clone: Path, url: str, commit: str, rows: list[dict[str, Any]], output: Path) -> dict[str, str]:
    """Fetch one commit's pages into the folder; the problems by page id."""
    problems = {}
    try:
        if not (clone / ".git").exists():
            git(clone, "init", "--quiet")
            git(clone, "remote", "add", "origin", url)
        git(clone, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit)
        there = set(git(clone, "ls-tree", "-r", "-z", "--name-only", commit).decode(errors="replace").split("\0"))
        paths = "\0".join(row["path"] for row in rows if row["path"] in there)
        # Checking out gets all files in one go; their bytes are then read as git has them, without line-end changes.
        what = ("checkout", "--quiet", commit, "--pathspec-from-file=-", "--pathspec-file-nul")
        git(clone, "--literal-pathspecs", *what, input=paths.encode())
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        return {row["id"]: f"{url}: {reason[-1] if reason else error}" for row in rows}
    for row in rows:
        if row["path"] not in there:
            problems[row["id"]] = f"{url}: no {row['path']} at {commit}"
            continue
        data = git(clone, "cat-file", "blob", f"{commit}:{row['path']}")
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        if not hashlib.sha256(data).hexdigest().startswith(row["id"]):
            problems[row["id"]] = f"{url}: {row['path']} is another file"
            continue
        with whole_file(page_file(output, row)) as file:
            file.write(gzip.compress(data, mtime=0))
    return problems


def git(folder: Path, *arguments: str, input: bytes = b"") -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}  # a repository that is gone must not ask for a password
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, input=input, capture_output=True, check=True, env=environment).stdout


def label_pages(rows: list[dict[str, Any]], output: Path, problems: dict[str, str]) -> None:
    """Write the folder's labels.jsonl for the pages that are there."""
    with whole_file(output / LABELS_FILE) as labels:
        for row in rows:
            path = page_file(output, row)
            if row["id"] in problems or not path.exists():
                continue
            blocks = labelled_blocks(row, gzip.decompress(path.read_bytes()))
            if isinstance(blocks, str):
                problems[row["id"]] = blocks
                continue
            page = {name: row[name] for name in PLACE} | {"blocks": blocks}
            labels.write(f"{json.dumps(page, ensure_ascii=False)}\n".encode())


def labelled_blocks(row: dict[str, Any], html: bytes) -> list[dict[str, str]] | str:
    """The page's blocks with their labels, or why they cannot be told."""
    try:
        texts = segment_html(decode(html)).texts
    except PageError as error:
        return str(error)
    if "".join(map(text_hash, texts)) != row["blocks"]:
        return "this version cuts the page otherwise than the one that wrote the reference"
    return [{"text": text, "label": LABELS[letter]} for text, letter in zip(texts, row["labels"], strict=True)]


if __name__ == "__main__":
    main()
