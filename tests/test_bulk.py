"""Many pages, as users run them: the same labels from every container, and nothing lost where something breaks."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from click.testing import CliRunner
from test_cli import APPEAL, ARTICLE, CLEANED

from detector import Detector, PageError
from detector.bulk import judge as judging
from detector.bulk.jsonl import zst
from detector.bulk.report import Report
from detector.cli import main

PAGE = f"{ARTICLE}\n\n{APPEAL}"
COMMAND = [sys.executable, "-m", "detector"]
HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def run(*arguments, **options):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **options)


def html_of(number: int) -> str:
    paragraphs = "".join(f"<p>{text}</p>" for text in ARTICLE.split("\n\n"))
    return f"<!doctype html><body><h1>Bridge number {number}</h1>{paragraphs}<p>{APPEAL}</p></body>"


def record(uri: str, body: bytes, http: bytes = HTTP, kind: str = "response") -> bytes:
    payload = http + b"\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{uri}>\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload + b"\r\n\r\n"


def rows(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def judged(result) -> list[list[tuple]]:
    """The labels and scores of each page."""
    return [[(b["text"], b["label"], b["kind"], b["score"]) for b in row["blocks"]] for row in rows(result)]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:03}.html").write_text(html_of(number))
    return folder


@pytest.fixture
def warc(tmp_path):
    pytest.importorskip("fastwarc")
    path = tmp_path / "crawl.warc.gz"
    path.write_bytes(b"".join(gzip.compress(record(f"http://a.example/{n}", html_of(n).encode())) for n in range(40)))
    return path


@pytest.fixture
def jsonl(tmp_path):
    path = tmp_path / "pages.jsonl"
    path.write_text("".join(json.dumps({"id": n, "html": html_of(n)}) + "\n" for n in range(40)))
    return path


@pytest.fixture
def parquet(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "pages.parquet"
    table = arrow.table({"id": list(range(40)), "html": [html_of(n) for n in range(40)]})
    parquet.write_table(table.replace_schema_metadata({"made": "by hand"}), path, row_group_size=15)
    return path


class TestSameEverywhere:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_labels_and_scores(self, folder, warc, jsonl, parquet, jobs):
        detector = Detector()
        pages = [detector.scan(html_of(n)) for n in range(40)]
        expected = [[(b.text, b.label, b.kind, b.score) for b in page.blocks] for page in pages]
        assert list(detector.scan_many((html_of(n) for n in range(40)), jobs=jobs)) == pages
        for path in (folder, warc, jsonl, parquet):
            result = run("scan", "--format", "jsonl", "--jobs", jobs, path)
            assert result.exit_code == 0
            assert judged(result) == expected
            assert result.stderr.startswith("40 pages, ")

    def test_packed_tables(self, jsonl, tmp_path):
        expected = judged(run("scan", "--format", "jsonl", jsonl))
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(jsonl.read_bytes()))
        (tmp_path / "a.jsonl.zst").write_bytes(zst().compress(jsonl.read_bytes()))
        for name in ("a.jsonl.gz", "a.jsonl.zst"):
            assert judged(run("scan", "--format", "jsonl", tmp_path / name)) == expected

    def test_a_warc_on_standard_input(self, warc):
        expected = judged(run("scan", "--format", "jsonl", warc))
        for data in (warc.read_bytes(), gzip.decompress(warc.read_bytes())):
            assert judged(run("scan", "--format", "jsonl", "-", input=data)) == expected

    def test_a_list_of_paths(self, folder, tmp_path):
        names = "".join(f"{path}\n" for path in sorted(folder.iterdir()))
        (tmp_path / "list.txt").write_text(names + "\n")
        expected = run("scan", "--format", "jsonl", folder).stdout
        assert run("scan", "--format", "jsonl", "--files-from", tmp_path / "list.txt").stdout == expected
        assert run("scan", "--format", "jsonl", "--files-from", "-", input=names).stdout == expected


class TestWarc:
    def test_only_html_responses_that_succeeded(self, tmp_path):
        pytest.importorskip("fastwarc")
        path = tmp_path / "a.warc"
        body = html_of(1).encode()
        path.write_bytes(
            record("http://a/page", body)
            + record("http://a/missing", body, HTTP.replace(b"200 OK", b"404 Not Found"))
            + record("http://a/image", b"\x89PNG", HTTP.replace(b"text/html", b"image/png"))
            + record("http://a/request", body, kind="request")
            + record("http://a/again", b"", kind="revisit")
        )
        result = run("scan", "--format", "jsonl", path)
        assert [(row["path"], row["record"]) for row in rows(result)] == [("http://a/page", "<urn:uuid:http://a/page>")]
        assert result.exit_code == 0

    def test_codings_and_charset_of_the_response(self, tmp_path):
        pytest.importorskip("fastwarc")
        path = tmp_path / "a.warc"
        text = "<p>Мост закрывают на ремонт до весны, и автобусы поедут в объезд."
        body = text.encode("windows-1251")
        typed = HTTP.replace(b"text/html", b'text/html; charset="windows-1251"')
        chunked = b"5\r\n" + body[:5] + b"\r\n" + f"{len(body) - 5:x}".encode() + b"\r\n" + body[5:] + b"\r\n0\r\n\r\n"
        path.write_bytes(
            record("http://a/1", gzip.compress(body), typed + b"Content-Encoding: gzip\r\n")
            + record("http://a/2", chunked, typed + b"Transfer-Encoding: chunked\r\n")
            + record("http://a/3", body, typed + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")
        )
        found = [row["blocks"][0]["text"] for row in rows(run("scan", "--format", "jsonl", path))]
        assert found == [text.removeprefix("<p>")] * 3

    @pytest.mark.parametrize("packed", [True, False])
    def test_a_cut_or_damaged_archive_is_one_failure(self, tmp_path, folder, packed):
        pytest.importorskip("fastwarc")
        records = [record(f"http://a/{n}", html_of(n).encode()) for n in range(3)]
        whole = b"".join(map(gzip.compress, records) if packed else records)
        path = tmp_path / f"cut.warc{'.gz' if packed else ''}"
        for end in (len(whole) - 20, len(whole) - 300, 20, 6):
            path.write_bytes(whole[:end])
            result = run("scan", "--format", "jsonl", path, folder / "000.html")
            assert result.exit_code == 1
            assert rows(result)[-1]["path"].endswith("000.html")
            assert result.stderr.count(str(path)) == 1
        path.write_bytes(whole[: len(whole) // 2] + b"\0" * 50 + whole[len(whole) // 2 + 50 :])
        assert run("scan", path).exit_code in (0, 1)
        path.write_bytes(b"no archive at all")
        assert "not a WARC file" in run("scan", path).stderr

    def test_cleaned_pages_are_rows(self, warc):
        result = run("clean", warc)
        row = rows(result)[7]
        assert row["url"] == "http://a.example/7"
        assert row["content"] == Detector().clean(html_of(7), to="html")
        assert (row["removed_blocks"]["donation"], row["removed_words"]) == (1, len(APPEAL.split()))
        assert rows(run("clean", "--to", "text", warc))[7]["content"] == f"Bridge number 7\n{CLEANED}"


class TestJsonl:
    def test_cleaned_rows_keep_all_else_to_the_byte(self, tmp_path):
        path = tmp_path / "a.jsonl"
        text = json.dumps(PAGE)
        whole = json.dumps(ARTICLE + "\n\n")
        lines = [
            f'{{ "n":1.50e+3 , "text": {text}, "ü": "\\u00fc ß",  "big":123456789012345678901234567890}}',
            f'{{"text":{whole},"a":[1,{{"b":null}}]}}',
        ]
        path.write_text("\n".join(lines))
        result = run("clean", path)
        zeros = '"editorial": 0, "donation": 0, "paywall": 0, "other": 0'
        ones = zeros.replace('"donation": 0', '"donation": 1')
        words = len(APPEAL.split())
        first = lines[0].replace(text, json.dumps(ARTICLE + "\n\n"))
        expected = [
            f'{first[:-1]}, "removed_blocks": {{{ones}}}, "removed_words": {words}}}',
            f'{lines[1][:-1]}, "removed_blocks": {{{zeros}}}, "removed_words": 0}}',
        ]
        assert result.stdout == "\n".join(expected)
        assert result.exit_code == 0

    def test_bad_rows_fail_one_by_one_and_are_kept(self, tmp_path):
        path = tmp_path / "a.jsonl"
        bad = [
            b"not json",
            b"[1]",
            b'{"text": "x"} more',
            b'{"text": 3}',
            b'{"other": "x"}',
            b'{"text": ""}',
            b"\xff\xfe",
            b'{"text": ' + b"[" * 100_000,
            b'{"text": ' + b"9" * 10_000 + b"}",
            b'{"text"',
        ]
        good = json.dumps({"text": PAGE}).encode()
        path.write_bytes(b"\n".join([*bad, good, b""]))
        result = run("scan", "--format", "jsonl", path)
        assert result.exit_code == 1
        assert [row["path"] for row in rows(result)] == [f"{path}:{len(bad) + 1}"]
        lines = result.stderr.splitlines()
        assert [line.split(": ")[0] for line in lines[:-1]] == [f"{path}:{n + 1}" for n in range(len(bad))]
        cleaned = run("clean", path).stdout_bytes.splitlines()
        assert len(cleaned) == len(bad) + 1
        for before, after in zip(bad, cleaned, strict=False):
            assert after.startswith(before.rstrip(b"}"))

    def test_a_column_of_another_name(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_text(json.dumps({"text": "Unused.", "page": PAGE}) + "\n")
        result = run("scan", "--format", "jsonl", "--column", "page", path)
        assert len(rows(result)[0]["blocks"]) == 6

    def test_a_page_kept_whole_stays_as_it_was(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_text(json.dumps({"text": f"{APPEAL}\n\n{APPEAL}"}) + "\n")
        result = run("clean", path)
        row = rows(result)[0]
        assert (row["text"], row["removed_words"]) == (f"{APPEAL}\n\n{APPEAL}", 0)
        assert f"{path}:1: left whole" in result.stderr

    def test_a_row_that_is_cleaned_twice_fails_and_is_kept(self, jsonl, tmp_path):
        once = tmp_path / "once.jsonl"
        run("clean", jsonl, "-o", once)
        result = run("clean", once)
        assert result.exit_code == 1
        assert result.stdout == once.read_text()
        assert "removed_blocks already" in result.stderr

    def test_a_file_that_is_cut_off(self, jsonl, tmp_path):
        for name, pack in (("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zst().compress)):
            data = pack(os.urandom(20_000).hex().encode() + b"\n" + jsonl.read_bytes())
            (tmp_path / name).write_bytes(data[: len(data) // 2])
            result = run("scan", tmp_path / name, jsonl)
            assert result.exit_code == 1
            assert "cut off" in result.stderr
            assert result.stdout.count("Bridge number 39") == 1


class TestParquet:
    def test_cleaned_tables_keep_all_else(self, parquet, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        out = tmp_path / "out.parquet"
        assert run("clean", parquet, "-o", out).exit_code == 0
        before, after = pq.ParquetFile(parquet), pq.ParquetFile(out)
        assert after.schema_arrow.metadata == before.schema_arrow.metadata
        assert after.schema_arrow.names == ["id", "html", "removed_blocks", "removed_words"]
        sizes = [[file.metadata.row_group(n).num_rows for n in range(3)] for file in (before, after)]
        assert sizes == [[15, 15, 10]] * 2
        table = after.read()
        assert table.column("id") == before.read().column("id")
        detector = Detector()
        assert table.column("html").to_pylist() == [detector.clean(html_of(n), to="html") for n in range(40)]
        assert table.column("removed_blocks").to_pylist()[0]["donation"] == 1
        assert table.column("removed_words").to_pylist() == [len(APPEAL.split())] * 40

    def test_rows_without_a_page_are_kept(self, tmp_path):
        arrow, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        path, out = tmp_path / "a.parquet", tmp_path / "out.parquet"
        texts = [None, PAGE.encode(), b"", b"\0\1\2"]
        pq.write_table(arrow.table({"text": arrow.array(texts, arrow.binary())}), path)
        result = run("clean", path, "-o", out)
        assert result.exit_code == 1
        assert [line.split(": ")[0] for line in result.stderr.splitlines()[:-1]] == [f"{path}:{n}" for n in (1, 3, 4)]
        assert pq.read_table(out).column("text").to_pylist() == [None, f"{ARTICLE}\n\n".encode(), b"", b"\0\1\2"]

    def test_files_that_are_no_tables_of_pages(self, tmp_path, folder):
        arrow, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        for name, table in {"none": {"a": ["x"]}, "number": {"text": [1]}}.items():
            pq.write_table(arrow.table(table), tmp_path / f"{name}.parquet")
        (tmp_path / "junk.parquet").write_bytes(b"PAR1 and no more")
        result = run("scan", tmp_path / "none.parquet", tmp_path / "number.parquet", tmp_path / "junk.parquet", folder)
        assert result.exit_code == 1
        assert [text in result.stderr for text in ("no column html", "neither text nor bytes", "not a Parquet")] == [
            True
        ] * 3
        assert "40 pages, " in result.stderr

    def test_labels_in_a_table(self, folder, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        out = tmp_path / "labels.parquet"
        assert run("scan", "--format", "parquet", folder, "-o", out).exit_code == 0
        expected = rows(run("scan", "--format", "jsonl", folder))
        found = pq.read_table(out).to_pylist()
        assert [row["path"] for row in found] == [row["path"] for row in expected]
        assert [[b["label"] for b in row["blocks"]] for row in found] == [
            [b["label"] for b in row["blocks"]] for row in expected
        ]
        assert run("scan", "--format", "parquet", folder).exit_code == 2


def test_dolma_attributes_line_up_with_the_documents(tmp_path):
    path = tmp_path / "documents.jsonl"
    documents = [{"id": "a", "text": PAGE}, {"id": "b", "text": ""}, {"id": "c", "text": html_of(1)}]
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    result = run("scan", "--format", "dolma", path, "-o", f"{tmp_path}/attributes/")
    found = [json.loads(line) for line in (tmp_path / "attributes" / "documents.jsonl").read_text().splitlines()]
    assert [row["id"] for row in found] == ["a", "b", "c"]
    ((start, end, score),) = found[0]["attributes"]["detector__donation"]
    assert (PAGE[start:end], score > 0.5) == (APPEAL, True)
    assert found[0]["attributes"]["detector__paywall"] == []
    assert found[1]["attributes"] == found[2]["attributes"] == {"detector__donation": [], "detector__paywall": []}
    assert result.exit_code == 1
    assert f"{path}:3: HTML, and Dolma's spans" in result.stderr


class TestMissingPackages:
    @pytest.mark.parametrize(
        ("module", "name", "extra"),
        [
            ("fastwarc.warc", "crawl.warc.gz", "warc"),
            ("pyarrow", "a.parquet", "parquet"),
            ("backports.zstd", "a.jsonl.zst", "zst"),
        ],
    )
    def test_one_error_says_what_to_install(self, tmp_path, folder, monkeypatch, module, name, extra):
        (tmp_path / name).write_bytes(gzip.compress(b"WARC/1.0\r\n"))
        for hidden in (module, f"{module}.parquet", "compression.zstd"):
            monkeypatch.setitem(sys.modules, hidden, None)
        result = run("scan", "--jobs", "1", tmp_path / name, folder)
        assert result.exit_code == 1
        assert f"pip install 'paywall-detector[{extra}]'" in result.stderr
        assert "40 pages, " in result.stderr


class Act:
    """Work that does as its page says; it stands for pages that hang or crash the parser."""

    def __call__(self, detector, page):
        if page == "hang":
            time.sleep(3600)
        if page == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if page == "crash":
            os._exit(3)
        if page == "fault":
            raise IndexError("list index out of range")
        if page == "bad":
            raise PageError("the page is bad")
        return page.upper()


class TestWorkers:
    @pytest.fixture(autouse=True)
    def _findable(self, monkeypatch):
        monkeypatch.syspath_prepend(os.path.dirname(__file__))

    def test_a_page_that_hangs_or_kills_its_process_is_one_failure(self):
        pages = [f"page {n}" for n in range(100)]
        pages[3], pages[17], pages[18], pages[60], pages[61] = "die", "hang", "crash", "fault", "bad"
        results = list(judging.judge(None, Act(), pages, 2, len, page_timeout=1))
        assert [page for page, _ in results] == pages
        failed = {page: str(done) for page, done in results if isinstance(done, PageError)}
        assert "signal 9" in failed["die"]
        assert "given up after 1 s (--page-timeout)" in failed["hang"]
        assert "exit status 3" in failed["crash"]
        assert "please report" in failed["fault"]
        assert failed["bad"] == "the page is bad"
        assert [done for page, done in results if page not in failed] == [
            page.upper() for page in pages if page not in failed
        ]

    def test_no_process_is_left_where_the_caller_stops_early(self):
        results = judging.judge(None, Act(), (f"page {n}" for n in range(10**9)), 2, len)
        assert next(results)[1] == "PAGE 0"
        assert psutil.Process().children(recursive=True)
        results.close()
        assert not psutil.Process().children(recursive=True)

    def test_pages_are_read_ahead_no_further_than_a_few_batches(self):
        read = 0

        def pages():
            nonlocal read
            for number in range(10_000):
                read += 1
                yield f"page {number}"

        for count, _ in enumerate(judging.judge(None, Act(), pages(), 2, len), 1):
            assert read <= count + 200

    def test_processes_that_do_not_start_are_one_error(self, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(judging.WorkerError, match="exit status 1"):
            list(judging.judge(None, Act(), ["a", "b"], 2, len))

    def test_the_python_class_gives_errors_in_their_places(self):
        pages = ["Rain fell on the old town.", "", b"\0\1", "It fell on the bridge too."]
        for jobs in (1, 2):
            found = list(Detector().scan_many(pages, jobs=jobs))
            assert [isinstance(page, PageError) for page in found] == [False, True, True, False]


def start(*arguments, **options):
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **options)


def wait_for(condition):
    """Until it holds; a machine that is so slow that it does not in a minute has other problems."""
    for _ in range(6000):
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def workers_of(process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.fixture
def tables(tmp_path):
    """JSONL files that take some seconds to scan."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for number in range(12):
        lines = "".join(json.dumps({"id": n, "text": f"{n} {PAGE}" * 8}) + "\n" for n in range(150))
        (folder / f"{number:02}.jsonl").write_text(lines)
    return folder


def whole_shards(out):
    return sorted(path for path in out.glob("*.jsonl") if not path.name.startswith("."))


def contents(out):
    return {path.name: path.read_bytes() for path in whole_shards(out)}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
class TestBrokenRuns:
    def test_a_killed_worker_costs_one_page_at_most(self, tables, tmp_path):
        out = tmp_path / "labels"
        process = start("scan", "--format", "jsonl", "--jobs", "2", tables, "-o", f"{out}/")
        wait_for(lambda: whole_shards(out) and workers_of(process))
        workers_of(process)[0].kill()
        _, errors = process.communicate()
        lost = errors.count("signal 9")
        assert process.returncode == lost <= 1
        assert f"{12 * 150 - lost:,} pages, " in errors
        assert sum(len(path.read_text().splitlines()) for path in whole_shards(out)) == 12 * 150 - lost

    @pytest.mark.parametrize("command", [("scan", "--format", "jsonl"), ("clean",)])
    def test_resume_after_the_run_was_killed_gives_what_an_unbroken_run_gives(self, tables, tmp_path, command):
        unbroken, out = tmp_path / "unbroken", tmp_path / "out"
        assert run(*command, tables, "-o", f"{unbroken}/").exit_code == 0
        process = start(*command, "--jobs", "2", tables, "-o", f"{out}/")
        wait_for(lambda: len(whole_shards(out)) >= 2)
        workers = workers_of(process)
        process.kill()
        process.communicate()
        psutil.wait_procs(workers, timeout=60)
        assert not any(worker.is_running() for worker in workers)
        before = {path: path.stat().st_mtime_ns for path in whole_shards(out)}
        assert 2 <= len(before) < 12
        result = run(*command, "--resume", tables, "-o", f"{out}/")
        assert result.exit_code == 0
        assert f"{len(before)} files kept" in result.stderr
        assert contents(out) == contents(unbroken)
        assert all(path.stat().st_mtime_ns == when for path, when in before.items())
        assert not list(out.glob("*.part")) + list(out.glob(".*.part"))

    def test_ctrl_c_ends_at_once_and_leaves_nothing(self, tables, tmp_path):
        out = tmp_path / "labels.jsonl"
        process = start("scan", "--format", "jsonl", "--jobs", "2", tables, "-o", out)
        workers = wait_for(lambda: len(workers_of(process)) == 2 and workers_of(process))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert not any(worker.is_running() for worker in workers)
        assert [path.name for path in tmp_path.iterdir()] == ["tables"]

    def test_a_full_disk_is_one_error_that_says_what_to_do(self, tables, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=False, capture_output=True
        )
        if mounted.returncode:
            pytest.skip("a small file system can be mounted by root alone, and not in every container")
        try:
            result = run("scan", "--format", "jsonl", tables, "-o", f"{disk}/labels/")
            assert result.exit_code == 1
            (line,) = result.stderr.splitlines()
            assert "No space left on device" in line
            assert "free space, then go on with --resume" in line
            result = run("scan", "--format", "jsonl", tables, "-o", disk / "labels.jsonl")
            assert result.exit_code == 1
            assert "free space" in result.stderr
            assert not (disk / "labels.jsonl").exists()
            with open(disk / "out", "wb") as file:
                done = subprocess.run(
                    [*COMMAND, "scan", tables], stdout=file, stderr=subprocess.PIPE, check=False, text=True
                )
            assert done.returncode == 1
            assert done.stderr.count("\n") == 1
            assert "standard output: cannot be written (No space left on device)" in done.stderr
            (disk / "out").unlink()
            subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
            assert run("scan", "--format", "jsonl", tables, "-o", f"{disk}/labels/", "--resume").exit_code == 0
            assert len(whole_shards(disk / "labels")) == 12
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_a_reader_that_goes_away(self, tables):
        process = start("scan", "--format", "jsonl", tables, stdout=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 1
        assert "Traceback" not in process.stderr.read()
        process.stderr.close()


class TestFolders:
    def test_single_pages_share_files(self, folder, jsonl, tmp_path, monkeypatch):
        monkeypatch.setattr("detector.bulk.run.PAGES_A_FILE", 15)
        out = tmp_path / "labels"
        assert run("scan", "--format", "jsonl", folder, jsonl, folder / "000.html", "-o", f"{out}/").exit_code == 0
        assert {name: data.count(b"\n") for name, data in contents(out).items()} == {
            "pages-00000.jsonl": 15,
            "pages-00001.jsonl": 15,
            "pages-00002.jsonl": 10,
            "pages-00003.jsonl": 1,
            "pages.jsonl.jsonl": 40,
        }
        whole = contents(out)
        (out / "pages-00001.jsonl").unlink()
        result = run("scan", "--format", "jsonl", folder, jsonl, folder / "000.html", "-o", f"{out}/", "--resume")
        assert result.stderr.startswith("15 pages, ")
        assert contents(out) == whole

    def test_cleaned_pages_are_kept_one_by_one(self, folder, tmp_path):
        out = tmp_path / "cleaned"
        run("clean", folder, "-o", f"{out}/")
        (out / "007.txt").unlink()
        result = run("clean", folder, "-o", f"{out}/", "--resume")
        assert "1 pages, " in result.stderr
        assert "39 files kept" in result.stderr
        assert (out / "007.txt").read_text() == f"Bridge number 7\n{CLEANED}"

    @pytest.mark.parametrize("change", ["threshold", "input", "model"])
    def test_a_changed_command_does_not_go_on(self, folder, tmp_path, change):
        out = tmp_path / "labels"
        assert run("scan", "--format", "jsonl", folder, "-o", f"{out}/").exit_code == 0
        options = {"threshold": ["--threshold", "0.9"], "input": [], "model": ["--model", tmp_path / "m.safetensors"]}
        if change == "input":
            (folder / "100.html").write_text(html_of(100))
        if change == "model":
            from detector.model import shipped_model, write_model

            made = shipped_model()
            write_model(type(made)(made.classifier, made.thresholds, {"name": "other"}), tmp_path / "m.safetensors")
        result = run("scan", "--format", "jsonl", folder, "-o", f"{out}/", "--resume", *options[change])
        assert result.exit_code == 1
        assert {"threshold": "options", "input": "inputs", "model": "model"}[change] in result.stderr
        assert run("scan", "--format", "jsonl", folder, "-o", f"{out}/", *options[change]).exit_code == 0

    def test_what_an_older_run_left_is_not_kept(self, folder, tmp_path):
        out = tmp_path / "labels"
        run("scan", "--format", "jsonl", "--threshold", "1", folder, "-o", f"{out}/")
        stale = contents(out)
        os.utime(out / "pages-00000.jsonl", ns=(0, 0))  # a new run that was killed before its first file was whole
        result = run("scan", "--format", "jsonl", "--threshold", "1", folder, "-o", f"{out}/", "--resume")
        assert "40 pages, " in result.stderr
        assert contents(out) == stale

    def test_inputs_are_never_written_over(self, jsonl):
        before = jsonl.read_bytes()
        result = run("clean", jsonl, "-o", f"{jsonl.parent}/")
        assert result.exit_code == 1
        assert "name another folder" in result.stderr
        assert jsonl.read_bytes() == before

    def test_nothing_of_one_input_takes_the_place_of_another(self, folder, jsonl, tmp_path):
        (folder / "000.txt").write_text(PAGE)
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / jsonl.name).write_text(json.dumps({"text": PAGE}) + "\n")
        for resume in ([], ["--resume"]):
            result = run("clean", folder, jsonl, tmp_path / "more", "-o", f"{tmp_path}/out/", *resume)
            assert result.exit_code == 1
            assert result.stderr.count("would have the same name") == 2
            assert (tmp_path / "out" / "000.txt").read_text().startswith("Bridge number 0")
            assert (tmp_path / "out" / jsonl.name).read_text().count("\n") == 40

    def test_pages_and_rows_do_not_share_a_file(self, folder, jsonl, parquet, tmp_path):
        result = run("clean", folder, jsonl)
        assert result.exit_code == 1
        assert "name a folder with -o" in result.stderr
        result = run("clean", jsonl, parquet, "-o", f"{tmp_path}/out/")
        assert result.exit_code == 0
        assert sorted(os.listdir(tmp_path / "out")) == [".detector-run.json", "pages.jsonl", "pages.parquet"]
        assert "standard output" in run("clean", parquet).stderr

    @pytest.mark.parametrize(
        "arguments",
        [["--resume", "-"], ["--resume", "-o", "a.jsonl", "a.html"], ["--files-from", "-", "-"], ["--jobs", "0", "-"]],
    )
    def test_wrong_usage(self, arguments):
        assert run("scan", *arguments).exit_code == 2


def test_progress_is_for_terminals_and_the_summary_for_all(folder, capsys):
    assert "\r" not in run("scan", folder).stderr
    assert run("scan", folder / "000.html").stderr == ""
    report = Report(1000)
    report.shown = report.start = -1e9
    report.pages = 3
    report.progress(500)
    assert "3 pages, " in capsys.readouterr().err


def test_a_page_survives_the_way_to_another_process():
    import pickle

    page = Detector().scan(html_of(1))
    assert pickle.loads(pickle.dumps(page)) == page
    assert io.BytesIO(pickle.dumps(page)).getbuffer().nbytes < 20_000
