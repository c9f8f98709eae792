"""The corpus by reference: it tells the labelled real pages, and rebuilds them from repositories."""

from __future__ import annotations

import gzip
import json
import subprocess

import pytest
from click.testing import CliRunner

from detector.training.data import check, read_pages, segmented

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.autocrlf=false"]
HTML = {
    "pages/one.html": b"<p>Rain fell.</p><p>Give us $5 a month</p>",
    "two.html.gz": gzip.compress(b"<p>Snow fell.</p>\r\n<p>Subscribe to read on</p>"),
}
LABELS = {"pages/one.html": "ed", "two.html.gz": "ep"}


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "remote" / "owner" / "pages"
    for name, content in HTML.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / ".gitattributes").write_text("*.html text eol=crlf\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "pages"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    head = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return head.stdout.strip()


def rows_of(reference, commit):
    import hashlib

    from detector.segment import read, segment

    for name, content in HTML.items():
        data = gzip.decompress(content) if name.endswith(".gz") else content
        texts = segment(read(data), "html").texts
        yield {
            "id": hashlib.sha256(data).hexdigest()[:16],
            "repository": "owner/pages",
            "commit": commit,
            "path": name,
            "lang": "en",
            "group": name,
            "access": "open",
            "blocks": "".join(map(reference.text_hash, texts)),
            "labels": LABELS[name],
        }


def rebuild(reference, tmp_path, rows):
    (tmp_path / "reference.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["rebuild", "-o", tmp_path / "out", "--reference", tmp_path / "reference.jsonl"]
    arguments += ["--remote", f"file://{tmp_path}/remote/{{repository}}"]
    return CliRunner().invoke(reference.main, list(map(str, arguments)))


def test_pages_are_rebuilt_from_repositories(reference, repository, tmp_path):
    result = rebuild(reference, tmp_path, rows_of(reference, repository))
    assert result.exit_code == 0, result.output
    assert check([tmp_path / "out"]) == []
    first, second = read_pages([tmp_path / "out"])
    assert list(zip(first.texts, first.labels, strict=True)) == [
        ("Rain fell.", "editorial"),
        ("Give us $5 a month", "donation"),
    ]
    assert second.labels == ("editorial", "paywall")
    assert gzip.decompress(second.html_file.read_bytes()) == gzip.decompress(HTML["two.html.gz"])


def test_it_says_what_it_could_not_get_and_goes_on_where_it_broke_off(reference, repository, tmp_path):
    first, second = rows_of(reference, repository)
    missing = {**second, "path": "gone.html"}
    elsewhere = {**second, "id": "0" * 16, "repository": "owner/none"}
    result = rebuild(reference, tmp_path, [first, missing, elsewhere])
    assert result.exit_code == 1
    assert "no gone.html at" in result.stdout
    assert "0" * 16 in result.stdout
    assert "1 of 3 pages" in result.stderr
    assert len(read_pages([tmp_path / "out"])) == 1
    assert rebuild(reference, tmp_path, [first, second]).exit_code == 0
    assert len(read_pages([tmp_path / "out"])) == 2


def test_a_page_that_is_another_file_or_is_cut_otherwise_is_told(reference, repository, tmp_path):
    first, second = rows_of(reference, repository)
    result = rebuild(reference, tmp_path, [{**first, "path": "two.html.gz"}, {**second, "blocks": "0" * 16}])
    assert result.exit_code == 1
    assert "is another file" in result.stdout
    assert "cuts the page otherwise" in result.stdout


def test_the_reference_holds_no_text(reference):
    fields = {*reference.PLACE, "blocks", "labels"}
    for line in reference.REFERENCE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert row.keys() == fields
        assert set(row["blocks"]) <= set("0123456789abcdef")
        assert len(row["blocks"]) == 8 * len(row["labels"])


def test_the_reference_is_that_of_the_labelled_pages(reference, corpus):
    """Every page of the reference stands in the corpus, and gives the blocks and labels that the reference has."""
    rows = {json.loads(line)["id"]: json.loads(line) for line in reference.REFERENCE.open(encoding="utf-8")}
    places = {row["id"]: row for row in map(json.loads, (corpus / "labels.jsonl").open(encoding="utf-8"))}
    pages = {page.id: page for page in read_pages([corpus])}
    assert rows.keys() <= pages.keys()
    for page_id, row in list(rows.items())[::8]:
        assert {name: row[name] for name in reference.PLACE} == {
            name: places[page_id][name] for name in reference.PLACE
        }
        blocks = reference.labelled_blocks(row, gzip.decompress(pages[page_id].html_file.read_bytes()))
        cut, labels = segmented(pages[page_id])
        assert [(block["text"], block["label"]) for block in blocks] == list(zip(cut.texts, labels, strict=True))
