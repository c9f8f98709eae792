from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.context import _neighbours, _window_means, html_context, shares, text_context
from detector.features import MAX_BLOCK_CHARACTERS, NUMBERS, NgramSettings, hash_ngrams, text_numbers
from detector.page import KINDS
from detector.segment import segment_html

SETTINGS = NgramSettings(bits=20, characters=(3, 4), words=(1, 2))
WORDS = NgramSettings(bits=20, characters=(), words=(1,))

collapsed = st.text(max_size=60).map(lambda text: " ".join(text.split()))
texts = st.lists(collapsed.filter(bool), min_size=1, max_size=6)


def columns(text: str, settings: NgramSettings = SETTINGS) -> list[int]:
    return [column for ngrams in hash_ngrams([text], settings) for column in ngrams.columns.tolist()]


def naive_ngrams(text: str) -> list[tuple]:
    """What n-grams a text has, by their plain definition, for text of letters and spaces."""
    words = text.split()
    padded = [f" {word} " for word in words]
    found = [(n, word[at : at + n]) for n in SETTINGS.characters for word in padded for at in range(len(word) - n + 1)]
    return found + [("word", word) for word in words] + [("pair", *pair) for pair in itertools.pairwise(words)]


class TestNgrams:
    @given(texts)
    def test_a_texts_ngrams_do_not_depend_on_its_batch(self, batch):
        together = hash_ngrams(batch, SETTINGS)
        assert all(len(ngrams.starts) == len(batch) + 1 for ngrams in together)
        for number, text in enumerate(batch):
            own = [ngrams.columns[ngrams.starts[number] : ngrams.starts[number + 1]].tolist() for ngrams in together]
            assert [column for part in own for column in part] == columns(text)

    @given(st.lists(st.text("abcdé", min_size=1, max_size=7), min_size=1, max_size=8).map(" ".join))
    def test_equal_ngrams_have_equal_columns_and_others_have_others(self, text):
        names = naive_ngrams(text)
        found = columns(text)
        assert len(found) == len(names)
        assert len(set(found)) == len(set(names))
        assert columns(text) == columns(text.upper().lower())

    def test_digits_currencies_and_case_count_as_one(self):
        assert columns("Give $5 now") == columns("give €7 NOW")
        assert columns("give 50") != columns("give 5")

    def test_signs_part_words(self):
        assert columns("read-more: now!", WORDS) == columns("read more now", WORDS)

    def test_a_block_is_judged_by_its_first_characters(self):
        start = "word " * (MAX_BLOCK_CHARACTERS // 5)
        assert columns(start + "tail") == columns(start)

    def test_separators_in_attributes_do_no_harm(self):
        (ngrams,) = hash_ngrams(["a\x1eb", "c"], WORDS)
        assert np.diff(ngrams.starts).tolist() == [2, 1]

    def test_texts_without_any_word_have_no_ngrams(self):
        for ngrams in hash_ngrams(["—", "word", "…"], SETTINGS):
            assert np.diff(ngrams.starts).tolist()[::2] == [0, 0]


def test_numbers_by_hand():
    found = dict(zip(NUMBERS, text_numbers(["Give $10 today, please!"])[0].tolist(), strict=True))
    assert found["log characters"] == np.log1p(np.float32(23))
    assert found["log spaces"] == np.log1p(np.float32(3))
    assert np.isclose(found["share of letters that are capitals"], 1 / 15)
    assert np.isclose(found["share of digits"], 2 / 23)
    assert (found["has currency"], found["has percent"], found["has exclamation mark"]) == (1, 0, 1)
    assert found["ends in a question or exclamation mark"] == 1
    assert found["begins with a digit"] == 0
    assert np.isclose(found["commas in ten characters"], 10 / 23)


class TestContext:
    def test_neighbours_are_zero_beyond_the_page(self):
        values = np.arange(1, 4, dtype=np.float32)[:, None]
        assert np.concatenate(_neighbours(values, 2), axis=1).tolist() == [[0, 0, 2, 3], [0, 1, 3, 0], [1, 2, 0, 0]]

    def test_window_means_end_with_the_page(self):
        values = np.arange(6, dtype=np.float32)[:, None]
        first, *_, last = _window_means(values)
        assert first.ravel().tolist() == [1, 1.5, 2, 3, 3.5, 4]  # two blocks on each side
        assert last.ravel().tolist() == [2.5] * 6  # the page ends before twenty

    def test_shares_sum_to_one(self):
        scores = np.random.default_rng(0).normal(0, 20, (5, len(KINDS))).astype(np.float32)
        np.testing.assert_allclose(shares(scores).sum(axis=1), 1, rtol=1e-5)

    def test_every_block_is_seen_with_finite_numbers(self):
        cut = segment_html("<div><p>a</p><p>b <a href=x>c</a></p></div><p>d</p>")
        scores = np.random.default_rng(0).normal(0, 99, (3, len(KINDS))).astype(np.float32)
        for seen in (text_context(cut.texts, scores), html_context(cut.texts, scores, cut.structure, scores)):
            assert len(seen) == 3
            assert seen.dtype == np.float32
            assert np.isfinite(seen).all()
