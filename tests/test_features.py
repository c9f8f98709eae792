from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.context import html_context, shares, text_context
from detector.features import MAX_BLOCK_CHARACTERS, NUMBERS, Batch, NgramSettings, hash_ngrams, ngram_sums, text_numbers
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
    found = dict(zip(NUMBERS, text_numbers(Batch.of(["Give $10 today, please!"]))[0].tolist(), strict=True))
    assert found["log characters"] == np.log1p(np.float32(23))
    assert found["log spaces"] == np.log1p(np.float32(3))
    assert np.isclose(found["share of letters that are capitals"], 1 / 15)
    assert np.isclose(found["share of digits"], 2 / 23)
    assert (found["has currency"], found["has percent"], found["has exclamation mark"]) == (1, 0, 1)
    assert found["ends in a question or exclamation mark"] == 1
    assert found["begins with a digit"] == 0
    assert np.isclose(found["commas in ten characters"], 10 / 23)


def test_sums_are_those_of_the_rows_of_all_ngrams(either_way):
    random = np.random.default_rng(0)
    table = random.integers(-128, 128, (1 << SETTINGS.bits, 20)).astype(np.int8)
    texts = ["Give $10 today, please!", "—", "Ünïcode 日本語 𐌰𐌱𐌲𐌳 İstanbul a\x1eb", "x" * 3 * MAX_BLOCK_CHARACTERS]
    rows = table.astype(np.int64)
    rows[:, -1] %= 256  # the last column is unsigned
    assert ngram_sums(table, Batch.of(texts), SETTINGS).tolist() == [
        rows[columns(text)].sum(axis=0).tolist() for text in texts
    ]


@pytest.mark.usefixtures("either_way")
class TestContext:
    """On pages of blocks of which the first kind is the only likely one, or not: shares of about one and zero."""

    ASK = 60.0

    def seen(self, likely: list[bool]) -> np.ndarray:
        scores = np.full((len(likely), len(KINDS)), -self.ASK, np.float32)
        scores[:, -1] = 0  # so that unlikely ones have a share somewhere
        scores[likely, 0] = self.ASK
        scores[likely, -1] = -self.ASK
        return text_context(Batch.of([f"word{number}" for number in range(len(likely))]), scores)

    def columns_like(self, seen: np.ndarray, values: list[float]) -> int:
        return int(np.isclose(seen, np.array(values)[:, None], atol=1e-5).all(axis=0).sum())

    def test_neighbours_are_zero_beyond_the_page(self):
        seen = self.seen([True, False, True])
        assert self.columns_like(seen, [0, 1, 0]) >= 1  # the block before
        assert self.columns_like(seen, [1, 0, 0]) >= 1  # the second after

    def test_window_means_end_with_the_page(self):
        seen = self.seen([True, False, False, False, False, False])
        assert self.columns_like(seen, [1 / 3, 1 / 4, 1 / 5, 0, 0, 0]) == 1  # two blocks on each side
        assert self.columns_like(seen, [1 / 6] * 6) == 3  # the page ends before seven, and twenty; and the whole page

    def test_shares_sum_to_one(self):
        scores = np.random.default_rng(0).normal(0, 20, (5, len(KINDS))).astype(np.float32)
        np.testing.assert_allclose(shares(scores).sum(axis=1), 1, rtol=1e-5)

    def test_a_text_that_comes_again_is_told(self):
        scores = np.zeros((4, len(KINDS)), np.float32)
        seen = text_context(Batch.of(["Share", "Rain fell.", "Share", "Share"]), scores)
        assert self.columns_like(seen, np.log([3, 1, 3, 3]).tolist()) == 1

    def test_every_block_is_seen_with_finite_numbers(self):
        cut = segment_html("<div><p>a</p><p>b <a href=x>c</a></p></div><p>d</p>")
        scores = np.random.default_rng(0).normal(0, 99, (3, len(KINDS))).astype(np.float32)
        for seen in (
            text_context(Batch.of(cut.texts), scores),
            html_context(Batch.of(cut.texts), scores, cut.structure, scores),
        ):
            assert len(seen) == 3
            assert seen.dtype == np.float32
            assert np.isfinite(seen).all()

    def test_blocks_of_one_container_are_seen_together(self):
        cut = segment_html("<section><p>rain</p><p>snow</p></section><section><p>wind</p></section>")
        scores = np.zeros((3, len(KINDS)), np.float32)
        seen = html_context(Batch.of(cut.texts), scores, cut.structure, scores)
        assert self.columns_like(seen, np.log([2, 2, 1]).tolist()) == 1  # the section
        assert self.columns_like(seen, np.log([3, 3, 3]).tolist()) >= 1  # the body
