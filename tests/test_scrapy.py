"""A real crawl of a local server, in a process of its own."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import TOP

from detector import PageError

pytest.importorskip("scrapy", reason="the scrapy extra is not installed; .ci/run tests it in its own environment")

RUSSIAN = (
    "<p>Паром на остров Колва не ходит с понедельника: суд на год лишил капитана лицензии, сообщила мэрия.</p>"
    "<p>На острове живут двести человек, в основном рыбаки и пенсионеры, магазин там один.</p>"
    "<p>Поддержите нас: пожертвуйте 100 рублей в месяц. Спасибо!</p>"
)
ITEMS = ("dict", "DataclassItem", "AttrsItem", "FieldsItem")


@pytest.fixture(scope="module")
def served(pages):
    """What the server hands out, by path: the content type and the body."""
    return {
        "html": ("text/html; charset=utf-8", pages["html"].encode()),
        "text": ("text/plain; charset=utf-8", pages["text"].encode()),
        "whole": ("text/plain; charset=utf-8", pages["whole"].encode()),
        "bad": ("text/plain; charset=utf-8", pages["bad"].encode()),
        "russian": ("text/html; charset=windows-1251", RUSSIAN.encode("windows-1251")),
        "file": ("application/pdf", b"%PDF-1.7\n\0"),
    }


@pytest.fixture(scope="module")
def address(served):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, body = served[self.path.removeprefix("/")]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def crawl(address, names, folder, **settings):
    output = folder / "crawl.json"
    command = (TOP / "tests" / "crawl.py", address, ",".join(names), json.dumps(settings), output)
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text()) | {"log": done.stderr}


@pytest.fixture(scope="module")
def crawled(address, served, tmp_path_factory):
    return crawl(address, served, tmp_path_factory.mktemp("crawl"))


def of(crawled, name, kind):
    return next(item for item in crawled["items"] if item["url"].endswith(f"/{name}") and item["class"] == kind)


@pytest.mark.parametrize("kind", ITEMS)
def test_items_of_every_kind_get_the_text_and_the_labels_that_the_api_gives(crawled, detector, pages, kind):
    for name, source in {"html": pages["html"], "text": pages["text"], "russian": RUSSIAN}.items():
        item = of(crawled, name, kind)
        blocks = [
            {key: value for key, value in asdict(b).items() if value is not None} for b in detector.scan(source).blocks
        ]
        assert item["labels"] == blocks
        assert item["text"] == detector.clean(source)
        assert item["html"] == source


def test_the_page_in_the_responses_meta_is_the_one_that_the_api_gives(crawled, detector, served, pages):
    for name, source in {"html": pages["html"], "text": pages["text"], "russian": RUSSIAN}.items():
        assert crawled["seen"][name] == [[block.label, block.score] for block in detector.scan(source).blocks]
    assert "/file: " in crawled["seen"]["file"]
    assert "binary" in crawled["seen"]["file"]


def test_what_fails_passes_unchanged_and_is_logged_without_a_traceback(crawled, pages):
    item = of(crawled, "bad", "dict")
    assert item == {"class": "dict", "url": item["url"], "html": pages["bad"]}
    assert of(crawled, "bad", "DataclassItem")["labels"] is None
    assert f"{item['url']}: the page " in crawled["log"]
    narrow = of(crawled, "text", "NarrowItem")
    assert narrow == {"class": "NarrowItem", "url": narrow["url"], "html": pages["text"]}
    assert "NarrowItem has no field 'text': add it, or name another in DETECTOR_TEXT_FIELD" in crawled["log"]
    assert "/whole: left whole: " in crawled["log"]
    assert "Traceback" not in crawled["log"]


def test_the_counts_are_in_scrapys_own_stats(crawled, detector, pages):
    judged = [detector.scan(source) for source in (pages["html"], pages["text"], pages["whole"], RUSSIAN)]
    flagged = Counter(block.label for page in judged for block in page.blocks)
    assert crawled["stats"] == {
        "detector/pages": len(judged) * len(ITEMS),
        "detector/flagged/donation": flagged["donation"] * len(ITEMS),
        "detector/flagged/paywall": flagged["paywall"] * len(ITEMS),
        "detector/kept_whole": sum(page.is_kept_whole for page in judged) * len(ITEMS),
        "detector/failures": len(ITEMS) + 5,  # "bad" as items of each kind, and the NarrowItem of each page
        "detector/items_without_page": 5,
    }


def test_the_settings(address, detector, pages, tmp_path):
    crawled = crawl(
        address,
        ["text"],
        tmp_path,
        DETECTOR_FIELD="html",
        DETECTOR_TEXT_FIELD="html",
        DETECTOR_LABELS_FIELD="blocks",
        DETECTOR_THRESHOLD="1",
        DETECTOR_DROP="other,comment",
    )
    item = of(crawled, "text", "dict")
    assert set(item) == {"class", "url", "html", "blocks"}
    assert not [block for block in item["blocks"] if block["label"] in ("donation", "paywall")]
    assert item["html"] != pages["text"]


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("DETECTOR_DROP", "adverts", "'adverts' is neither a label nor a kind"),
        ("DETECTOR_THRESHOLD", "7", "the threshold is 7.0"),
        ("DETECTOR_MODEL", "no.safetensors", "no.safetensors: no such model"),
    ],
)
def test_a_setting_that_is_wrong_stops_the_crawl_before_it_starts(address, tmp_path, setting, value, message):
    crawled = crawl(address, ["text"], tmp_path, **{setting: value})
    assert not crawled["seen"]
    assert message in crawled["log"]


def test_a_lazy_page_judges_once_and_pickles(detector, pages):
    from scrapy.http import TextResponse

    from detector.adapters.cleaning import Cleaner
    from detector.adapters.scrapy import LazyPage

    page = LazyPage(Cleaner(), TextResponse("http://127.0.0.1/", body=pages["text"].encode()))
    again = pickle.loads(pickle.dumps(page))
    assert page.blocks is page.blocks
    assert again.text() == page.text() == detector.clean(pages["text"])
    with pytest.raises(AttributeError):
        page.no_such_thing  # noqa: B018
    bad = LazyPage(Cleaner(), TextResponse("http://127.0.0.1/empty"))
    with pytest.raises(PageError, match=r"127\.0\.0\.1/empty: the page is empty"):
        bad.text()
