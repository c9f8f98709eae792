from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import KINDS, LABELS, Detector, Page, PageError
from detector.page import FLAGGED, LABEL_OF_KIND, Block, kinds_to_drop
from detector.segment import MAX_BLOCKS

APPEAL = "We depend on our readers. Please support our journalism with a donation from $2 a month. Thank you."
ARTICLE = "The council voted on Tuesday to close the old bridge, which has carried traffic since 1931, for repairs."


def flagged(page: Page) -> list[str]:
    return [block.text for block in page.blocks if block.label in FLAGGED]


class TestScan:
    def test_the_example_article(self, detector, example):
        page = detector.scan(example.read_bytes())
        assert any(b.label == "donation" and "foreign agents" in b.text for b in page.blocks)
        assert any(b.label == "paywall" for b in page.blocks)
        article = [
            b for b in page.blocks if "Kolva" in b.text or "Shustov" in b.text or "replacement service" in b.text
        ]
        assert len(article) >= 4
        assert not [b for b in article if b.label != "editorial"]

    def test_the_seed_page(self, detector, seed_page):
        blocks = detector.scan(seed_page).blocks
        asks = [block.text for block in blocks if block.label in FLAGGED]
        first_of_appeal = next(n for n, block in enumerate(blocks) if block.text.startswith("… we have a small favor"))
        wanted = [blocks[0].text, *(block.text for block in blocks[first_of_appeal:-1])]
        assert blocks[0].text == "Support The Moscow Times!"
        assert wanted[-1] == "Remind me later."
        assert len(wanted) == 7
        assert [text for text in asks if text != blocks[-1].text] == wanted

    def test_bytes_and_text_and_any_place_in_a_batch_give_the_same(self, detector, example):
        data = example.read_bytes()
        page = detector.scan(data)
        assert detector.scan(data.decode()) == page
        assert list(detector.scan_many([ARTICLE, data, APPEAL]))[1] == page

    def test_a_block_tells_label_kind_score_and_place(self, detector):
        text = f"{ARTICLE}\n\n{APPEAL}\n"
        page = detector.scan(text)
        assert page.input == "text"
        for block in page.blocks:
            assert block.label in LABELS
            assert block.kind in KINDS
            assert block.label == LABEL_OF_KIND[block.kind]
            assert 0 <= block.score <= 1
            assert text[block.start : block.end] == block.text
            assert block.xpath is None
        html = detector.scan(f"<p>{ARTICLE}</p>").blocks[0]
        assert (html.start, html.end, html.xpath) == (None, None, "/html[1]/body[1]/p[1]")

    def test_input_overrides_what_the_content_looks_like(self, detector):
        assert detector.scan("<b>not a page</b>", "text").blocks[0].text == "<b>not a page</b>"
        assert detector.scan("a plain line", "html").blocks[0].xpath == "/html[1]/body[1]"
        with pytest.raises(ValueError, match="neither"):
            detector.scan("a", "pdf")

    def test_a_threshold_of_the_users_own_decides(self, example):
        data = example.read_bytes()
        assert not flagged(Detector(threshold=1).scan(data))
        assert len(flagged(Detector(threshold=0).scan(data))) == len(Detector().scan(data).blocks)
        with pytest.raises(ValueError, match="threshold"):
            Detector(threshold=1.5)

    @pytest.mark.parametrize("page", [b"", "   ", b"%PDF-1.7", "<html><body></body></html>", "— … —"])
    def test_pages_that_cannot_be_judged(self, detector, page):
        with pytest.raises(PageError):
            detector.scan(page)

    @pytest.mark.parametrize("page", ["a line\n" * (MAX_BLOCKS + 1), "<p>a" * (MAX_BLOCKS + 1)])
    def test_pages_of_too_many_paragraphs(self, detector, page):
        with pytest.raises(PageError, match="more than 200,000 paragraphs"):
            detector.scan(page)

    def test_a_bad_page_among_many_gives_its_error_in_its_place(self, detector):
        first, second, third = detector.scan_many([ARTICLE, b"", APPEAL])
        assert isinstance(second, PageError)
        assert first.blocks[0].text == ARTICLE
        assert third.blocks[0].text == APPEAL

    @settings(max_examples=50, deadline=None)
    @given(st.one_of(st.binary(max_size=300), st.text(max_size=300), st.text("<>/p div a=\"'\x00\ud800", max_size=200)))
    def test_anything_gives_a_page_or_a_page_error(self, detector, page):
        try:
            judged = detector.scan(page)
        except PageError:
            return
        assert judged.blocks
        judged.text()
        if judged.input == "html":
            judged.html()


class TestClean:
    def test_text_comes_a_paragraph_a_line_without_what_was_flagged(self, detector, example):
        page = detector.scan(example.read_bytes())
        cleaned = detector.clean(example.read_bytes())
        assert cleaned.splitlines() == [block.text for block in page.blocks if block.label not in FLAGGED]

    def test_html_comes_without_the_flagged_elements_and_with_all_others(self, detector, example):
        page = detector.scan(example.read_bytes())
        cleaned = detector.clean(example.read_bytes(), to="html")
        left = [block.text for block in detector.scan(cleaned).blocks]
        assert left == [block.text for block in page.blocks if block.label not in FLAGGED]
        assert "<title>" in cleaned
        assert 'class="amounts"' not in cleaned

    def test_html_without_anything_flagged_is_handed_back_as_it_was(self, detector):
        html = f"<!doctype html><P CLASS=a>{ARTICLE}</P>"
        assert detector.clean(html, to="html") == html

    def test_plain_text_has_no_html(self, detector):
        with pytest.raises(PageError, match="plain text"):
            detector.clean(ARTICLE, to="html")

    def test_dropping_other_leaves_the_article_alone(self, detector, example):
        left = detector.clean(example.read_bytes(), drop=["other"]).splitlines()
        page = detector.scan(example.read_bytes())
        assert left == [block.text for block in page.blocks if block.label == "editorial"]

    def test_a_page_flagged_beyond_belief_is_left_whole(self, detector):
        page = detector.scan("\n\n".join([APPEAL] * 5))
        assert len(flagged(page)) == 5
        assert page.is_kept_whole
        assert page.text().splitlines() == [APPEAL] * 5

    def test_labels_and_kinds_can_be_dropped(self):
        assert kinds_to_drop(["donation"]) == {"donation"}
        assert kinds_to_drop(["newsletter", "consent"]) == {"newsletter", "consent"}
        assert kinds_to_drop(["editorial"]) == {"editorial", "comment"}
        assert kinds_to_drop(["other"]) == set(KINDS) - {"editorial", "comment"}
        with pytest.raises(ValueError, match="neither"):
            kinds_to_drop(["banner"])

    def test_what_cleaning_takes_is_told_by_the_labels_alone(self):
        blocks = (Block("a" * 30, "editorial", "editorial", 0.1), Block("b", "donation", "donation", 0.9))
        assert Page("text", blocks, "").text() == "a" * 30 + "\n"
        assert Page("text", blocks, "").text(drop=[]) == "a" * 30 + "\nb\n"


def test_importing_and_scanning_load_neither_scikit_learn_nor_scipy():
    code = (
        "import sys, detector; detector.Detector().scan('One line. <p>');"
        "sys.exit(any(name.split('.')[0] in ('sklearn', 'scipy', 'joblib') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
