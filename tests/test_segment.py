from __future__ import annotations

import gzip
import json
from collections import Counter
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.page import PageError
from detector.segment import (
    MAX_ABOVE,
    MAX_ATTRIBUTES,
    MAX_CHARACTERS,
    MAX_DEPTH,
    Segmented,
    read,
    segment,
    segment_html,
    segment_text,
    sniff_kind,
)

pytestmark = pytest.mark.usefixtures("either_way")


def cut(page: bytes | str, kind: str = "html") -> Segmented:
    return segment(read(page), kind)


def texts(html: str) -> list[str]:
    return segment_html(html).texts


class TestHtml:
    def test_blocks_are_the_own_texts_of_block_elements_in_document_order(self):
        html = "<div>before<p>one <b>bold</b> word</p>after<ul><li>a<li>b</ul></div>"
        assert texts(html) == ["before", "one bold word", "after", "a", "b"]

    def test_white_space_is_collapsed(self):
        assert texts("<p>\n  two\t\twords&nbsp; here \n</p>") == ["two words here"]

    def test_two_line_breaks_end_a_block_and_one_does_not(self):
        assert texts("<p>a<br>b<br><br>c<br> <br>d</p>") == ["a b", "c", "d"]

    def test_buttons_and_labels_are_blocks(self):
        assert texts("<form><label>Amount</label><button>Give</button><button>Later</button></form>") == [
            "Amount",
            "Give",
            "Later",
        ]

    def test_hidden_elements_are_kept(self):
        html = '<div hidden><p style="display:none">Support us</p></div><p aria-hidden="true">Later</p>'
        assert texts(html) == ["Support us", "Later"]

    def test_scripts_and_other_invisible_content_is_skipped(self):
        html = (
            "<head><title>t</title></head><script>var a</script><style>p{}</style><noscript>n</noscript>"
            "<svg><text>s</text></svg><select><option>o</select><textarea>x</textarea><template><p>y</p></template><p>z</p>"
        )
        assert texts(html) == ["z"]

    def test_blocks_without_a_word_are_dropped(self):
        assert texts("<p>•</p><p>—|—</p><p>$5</p>") == ["$5"]

    def test_structure_tells_the_elements_around_a_block(self):
        page = segment_html(
            '<aside class="donate" id="box" role="dialog" aria-label="Ask"><p>Give <a href="/pay">now</a></p></aside>'
        )
        structure = page.structure
        signatures = [structure.signatures[index] for index in structure.signature]
        (element,) = structure.element
        assert structure.tags[structure.tag[element]] == "p"
        assert signatures[structure.parent[element]] == "aside donate box dialog Ask"
        ((first, last),) = structure.inside
        assert signatures[first:last] == ["a /pay"]
        assert structure.link_characters.tolist() == [3]
        assert structure.depth[element] == 3

    def test_xpath_leads_back_to_the_element(self):
        html = (
            "<html><head /><body><div><p>a</p><b>x</b><p>b <i>c</i></p><section><p>d</p></section></div></body></html>"
        )
        page = segment_html(html)
        root = ElementTree.fromstring(html)  # the page is XML too
        assert page.texts == ["a", "x", "b c", "d"]
        for path, text in zip(page.structure.xpaths(), page.texts, strict=True):
            (element,) = root.findall(path.replace("/html[1]", "."))
            assert text in "".join(element.itertext())
            assert len("".join(element.itertext())) == len(text) or element.tag == "div"

    @pytest.mark.parametrize("html", ["", "<p></p>", "<html><body><img src=x></body></html>"])
    def test_a_page_without_text_has_no_blocks(self, html):
        assert texts(html) == []

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8))
    def test_paragraphs_come_back_in_order(self, paragraphs):
        import html as escaping

        page = "<body>" + "".join(f"<p>{escaping.escape(text)}</p>" for text in paragraphs)
        # NUL is dropped by the parser, and a carriage return is a line feed to it.
        wanted = [" ".join(text.replace("\0", "").split()) for text in paragraphs]
        assert texts(page) == [text for text in wanted if any(map(str.isalnum, text))]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(alphabet=st.sampled_from("<>/=\"'& abpdivbr!-\n\x00\ud800é"), max_size=300))
    def test_any_markup_gives_blocks_and_structure_that_fit_together(self, html):
        page = segment_html(html)
        structure = page.structure
        assert len(page.texts) == len(structure.element) == len(structure.inside) == len(structure.link_characters)
        assert len(structure.parent) == len(structure.tag) == len(structure.signature) == len(structure.depth)
        assert all(parent < element for element, parent in enumerate(structure.parent))
        assert len(structure.xpaths()) == len(page.texts)
        assert all(text == " ".join(text.split()) for text in page.texts)

    def test_it_cuts_real_pages_as_they_were_labelled(self, corpus):
        lines = (corpus / "labels.jsonl").read_text(encoding="utf-8").splitlines()[::25]
        same = total = 0
        for page in map(json.loads, lines):
            labelled = Counter(block["text"] for block in page["blocks"])
            with gzip.open(corpus / "pages" / f"{page['id']}.html.gz") as file:
                same += (labelled & Counter(cut(file.read()).texts)).total()
            total += labelled.total()
        assert same / total > 0.98


class TestText:
    def test_paragraphs_are_parted_by_blank_lines(self):
        assert segment_text("one\nline\n\n \t\ntwo\r\n\r\nthree").texts == ["one line", "two", "three"]

    def test_without_blank_lines_each_line_is_a_paragraph(self):
        assert segment_text("one\ntwo\r\nthree\n").texts == ["one", "two", "three"]

    def test_lines_too_long_to_be_wrapped_are_paragraphs_beside_blank_lines_too(self):
        long = "word " * 60
        assert len(segment_text(f"{long}\n{long}\n\nPay by card\nNot now").texts) == 4

    def test_spans_are_offsets_into_the_input(self):
        text = "  first  \n\nsecond\nhalf \n\n\n third"
        page = segment_text(text)
        assert [text[start:end] for start, end in page.spans] == ["first", "second\nhalf", "third"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(max_size=400))
    def test_spans_hold_the_block_and_nothing_that_is_a_word_is_lost(self, text):
        page = segment_text(text)
        assert [" ".join(text[start:end].split()) for start, end in page.spans] == page.texts
        joined = "".join("".join(page.texts).split())
        assert Counter(c for c in joined if c.isalnum()) == Counter(c for c in text if c.isalnum())
        stops = [0, *(stop for span in page.spans for stop in span)]
        assert stops == sorted(stops)


class TestKind:
    @pytest.mark.parametrize(
        "page",
        [
            "<!DOCTYPE html><p>a",
            "\ufeff <html><body>a",
            '<?xml version="1.0"?>\n<html xmlns="x">a',
            "<div class=x>a</div>",
            "<!-- saved -->\n<p>a",
            "junk before <html lang=en><body>a",
        ],
    )
    def test_html_is_told_by_its_tags(self, page):
        assert sniff_kind(page) == "html"

    @pytest.mark.parametrize(
        "page", ["A word.", "x < y and y > z", "Use <div> for boxes.", "<3 this", "# Title\n\n<kbd"]
    )
    def test_text_may_speak_of_tags(self, page):
        assert sniff_kind(page) == "text"


class TestRefused:
    @pytest.mark.parametrize("page", [b"", "", b"  \n", "\n\t "])
    def test_empty_pages(self, page):
        with pytest.raises(PageError, match="empty"):
            read(page)

    @pytest.mark.parametrize(
        "page", [b"%PDF-1.4 x", b"\x1f\x8b\x08abc", b"\x00\x01\x02abc", b"\x89PNG\r\n\x1a\n", b"GIF89a;"]
    )
    def test_binary_pages(self, page):
        with pytest.raises(PageError, match="binary"):
            read(page)

    def test_huge_pages(self):
        with pytest.raises(PageError, match="larger"):
            read("a" * (MAX_CHARACTERS + 1))

    @pytest.mark.parametrize(
        ("html", "reason"),
        [
            ("<div>" * (MAX_DEPTH + 1) + "a", "elements open"),
            ("".join(f"<font id=f{i}>" for i in range(2000)) + "<p>" * 2000, "formatting"),
            ("<p " + " ".join(f"a{i}=1" for i in range(MAX_ATTRIBUTES + 500)) + ">a</p>", "attributes"),
        ],
    )
    def test_pages_that_stall_a_parser(self, html, reason):
        with pytest.raises(PageError, match=reason):
            cut(html)

    def test_pages_whose_xpaths_would_fill_the_memory(self):
        depth = 4_000
        with pytest.raises(PageError, match="elements, counted"):
            cut("<div>" * depth + "<p>a" * (MAX_ABOVE // depth + 1))

    def test_honest_pages_with_many_void_elements_and_long_scripts_are_read(self):
        html = (
            "<script>"
            + "if (a<b) x('<b><i>');" * 3000
            + "</script>"
            + "<img src=x><br>a<hr>" * 3000
            + "<table>"
            + "<tr><td>b" * 3000
        )
        assert cut(html).texts
