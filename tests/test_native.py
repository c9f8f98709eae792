"""The compiled part and what does its work elsewhere give the same."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Detector, native
from detector.page import PageError
from detector.segment import Segmented, parse, read, segment_html, walk_tree

pytestmark = pytest.mark.skipif(
    native.LIBRARY is None, reason="the compiled part was not built: no C compiler when the package was installed"
)

PIECES = (
    """
<p>|</p>|<div class='a &amp; b' id=x>|</div>|<br>|<br/>|</br>|<a href='/pay?x=1&y=2'>|</a>|<b>|</b>|<i>|text |word
&nbsp;|&lt;b&gt;|&amp;amp;|\u3000|\u2003|é|日本|\0|\x1c|>|<|'|"|&|&#x1680;|&#0;|\ud800|<ul>|<li>|</ul>|<hr>|<input>
<script>if(a<b){'</p>'}</script>|<style>|</style>|<!-- c -- > -->|<!-->|<!--x--!>|<?php ?>|<!foo>|</ bar>|<frame>
<noscript><p>n</p></noscript>|<template><p>t</p></template>|<svg><title>T</title><path/></svg>|<svg>|</svg>|<table>
<tr>|<td>|</table>|<pre>\n|</pre>|<select><option>o|</select>|<textarea>\n<p>a</textarea>|<iframe>x<p></iframe>
<xmp>|</xmp>|<plaintext>|<noembed><p>q</noembed>|<noframes>|<math><mi>m</mi>|</math>|<p "x" =y a=1 class>|<q<z w=2>
<x-y role=dialog aria-label='A\nB  C'>|</x-y>|<img src=x>|<head>|<body class=q>|</body>|</html>|<frameset>|<title>T<p>
</title>|<html lang=e class='"&'>|<font><font>
""".strip("\n")
    .replace("\n", "|")
    .split("|")
)


def assert_same(compiled: Segmented, plain: Segmented) -> None:
    assert compiled.texts == plain.texts
    one, other = compiled.structure, plain.structure
    for name in ("parent", "depth", "element", "inside", "link_characters"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for indices, names in (("tag", "tags"), ("signature", "signatures")):
        assert [getattr(one, names)[index] for index in getattr(one, indices)] == [
            getattr(other, names)[index] for index in getattr(other, indices)
        ]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=40).map("".join))
def test_any_markup_is_cut_the_same(html):
    assert_same(segment_html(html), walk_tree(parse(html))[0])


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"<", b"</", b"=", b'"', b" ", b"&", b"p"])).map(b"".join))
def test_what_no_parser_wrote_does_no_harm(html):
    native.walk(native.LIBRARY, html, b"p\0script\0", np.array([native.BLOCK, native.SKIPPED | native.RAW], np.uint8))


def both_ways(monkeypatch, detector: Detector, page: bytes | str) -> list:
    compiled = detector.scan(page)
    with monkeypatch.context() as without:
        without.setattr(native, "LIBRARY", None)
        return [compiled, detector.scan(page)]


def test_pages_are_judged_the_same(monkeypatch, detector, example):
    html = example.read_bytes()
    for page in (html, "\n\n".join(block.text for block in detector.scan(html).blocks)):
        compiled, plain = both_ways(monkeypatch, detector, page)
        assert compiled == plain


def test_real_pages_are_cut_and_judged_the_same(monkeypatch, detector, corpus):
    for path in sorted((corpus / "pages").glob("*.html.gz"))[::40]:
        page = gzip.decompress(path.read_bytes())
        source = read(page)
        assert_same(segment_html(source.text), walk_tree(parse(source.text))[0])
        compiled, plain = both_ways(monkeypatch, detector, page)
        assert compiled == plain, path.name


@settings(max_examples=50)
@given(st.lists(st.text(min_size=1, max_size=1_100), min_size=1, max_size=5).map("\n\n".join))
def test_any_text_is_judged_the_same(detector, text):
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            compiled, plain = both_ways(monkeypatch, detector, text)
        except PageError:
            return
        assert compiled == plain


def test_a_library_of_another_version_is_not_loaded(monkeypatch):
    monkeypatch.setattr(native.zlib, "crc32", lambda data: 0)
    assert native._load() is None


def test_an_array_with_gaps_is_refused():
    with pytest.raises(ValueError, match="gaps"):
        native._at(np.zeros(8)[::2])
