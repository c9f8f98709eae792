from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import TOP
from test_data import folder_with

from detector import Detector
from detector.card import card_markdown
from detector.cli import main
from detector.features import NgramSettings
from detector.model import read_model, shipped_model, write_model
from detector.page import FLAGGED, KINDS
from detector.segment import segment_html
from detector.training.data import DataError, data_hash, page_hash, read_pages, text_hash
from detector.training.fit import Settings, fit_calibration, fit_linear, linear_scores
from detector.training.matrices import read_corpus, structure_matrices, text_matrix
from detector.training.train import as_extracted, choose_threshold, deal_folds, train

SMALL = replace(
    Settings(),
    folds=3,
    text=NgramSettings(14, (4,), (1,)),
    structure=NgramSettings(10, (4,), (1,)),
    linear_epochs=2,
    networks=2,
    hidden=8,
    network_epochs=30,
    learning_rate=1e-2,
    averaged_epochs=2,
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A tenth of the written text, and some pages with HTML."""
    folder = tmp_path_factory.mktemp("data")
    html = {
        f"h{number}": f"<nav>Home</nav><h1>Rain {number}</h1><p>Rain fell on town number {number} all day long.</p>"
        f"<aside class=donate><p>Please support us, give {number} dollars a month</p><button>Give</button></aside>"
        f"<div class=gate><p>Subscribe now to read story {number} to its end</p></div>"
        for number in range(9)
    }
    labels = ["furniture", "editorial", "editorial", "donation", "donation", "paywall"]
    rows = []
    for number, (page_id, source) in enumerate(html.items()):
        blocks = [{"text": t, "label": label} for t, label in zip(segment_html(source).texts, labels, strict=True)]
        rows.append({"id": page_id, "group": f"g{number}", "lang": "en", "access": "open", "blocks": blocks})
    folder_with(folder / "html", *rows, html=html)
    return read_pages([TOP / "training_data"])[::10] + read_pages([folder / "html"])


@pytest.fixture(scope="module")
def trained(pages):
    return train(pages, SMALL, jobs=1)


def test_held_out_asks_score_above_articles(trained, pages, tmp_path):
    ids, model = trained.folds[0]
    write_model(model, tmp_path / "m.safetensors")
    detector = Detector(tmp_path / "m.safetensors")
    scores: dict[str, list[float]] = {"ask": [], "editorial": []}
    for page in pages:
        if page.id in ids:
            judged = detector.scan("\n\n".join(page.texts), "text")
            labels = dict(zip(page.texts, page.labels, strict=True))
            for block in judged.blocks:
                label = labels[block.text]
                scores.setdefault("ask" if label in FLAGGED else label, []).append(block.score)
    assert np.mean(scores["ask"]) > 2 * np.mean(scores["editorial"])


def test_training_is_deterministic(trained, pages, tmp_path):
    write_model(trained.model, tmp_path / "a.safetensors")
    write_model(train(pages, SMALL, jobs=2).model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_another_seed_gives_another_model(trained, pages):
    other = train(pages, replace(SMALL, seed=1), jobs=2).model
    assert not np.array_equal(
        other.classifier.second["excerpt"].hidden, trained.model.classifier.second["excerpt"].hidden
    )


def test_no_publisher_is_in_two_folds(pages):
    corpus = read_corpus(pages, 1)
    folds = deal_folds(corpus.groups, SMALL)
    assert set(folds) == {0, 1, 2}
    assert len({(group, fold) for group, fold in zip(corpus.groups, folds, strict=True)}) == len(set(corpus.groups))


def test_fold_models_cover_every_page_once(trained, pages):
    ids = [page_id for own, _ in trained.folds for page_id in own]
    assert sorted(ids) == sorted(page.id for page in pages)


def test_what_is_fitted_is_what_is_evaluated(pages):
    from detector.classifier import structure_scores, text_scores
    from detector.features import Batch

    corpus = read_corpus(pages, 1)
    clear = np.flatnonzero(corpus.kinds >= 0)
    publishers = corpus.groups[corpus.page_of]
    parts = [text_matrix(corpus, SMALL.text)]
    text = fit_linear([part[clear] for part in parts], SMALL.text, corpus.kinds[clear], publishers[clear], SMALL)
    found = np.concatenate([text_scores(text, Batch.of(cut.texts)) for cut in corpus.cuts])
    np.testing.assert_allclose(found, linear_scores(text, parts), atol=1e-3)
    around = structure_matrices(corpus, SMALL.structure)
    html = clear[corpus.has_html[corpus.page_of][clear]]
    model = fit_linear([part[html] for part in around], SMALL.structure, corpus.kinds[html], publishers[html], SMALL)
    scores = linear_scores(model, around)
    for page in np.flatnonzero(corpus.has_html):
        rows = slice(corpus.starts[page], corpus.starts[page + 1])
        np.testing.assert_allclose(structure_scores(model, corpus.cuts[page].structure), scores[rows], atol=1e-3)


def test_the_threshold_keeps_to_the_budget(pages):
    corpus = read_corpus([page for page in pages if page.html_file is None], 1)
    scores = np.random.default_rng(0).random(len(corpus.kinds)).astype(np.float32)
    everything = np.ones(len(corpus.kinds), bool)
    prose = np.isin(corpus.kinds, [KINDS.index("editorial"), KINDS.index("comment")])
    for budget in (0.001, 0.05, 0.5):
        threshold = choose_threshold(corpus, scores, everything, replace(SMALL, editorial_loss=budget))
        counted = np.where(corpus.lengths >= 5, corpus.lengths, 0)
        lost = counted[prose & (scores >= threshold)].sum() / corpus.lengths[prose].sum()
        assert lost <= budget
        a_little_lower = counted[prose & (scores >= threshold - 0.01)].sum() / corpus.lengths[prose].sum()
        assert a_little_lower > lost


def test_the_threshold_is_chosen_on_real_pages_where_there_are_enough(pages):
    corpus = read_corpus(pages, 1)
    scores = np.where(corpus.has_html[corpus.page_of], 0.2, 0.9).astype(np.float32)
    everything = np.ones(len(corpus.kinds), bool)
    assert choose_threshold(corpus, scores, everything, SMALL) == pytest.approx(0.2)


def test_a_calibrated_score_is_right_as_often_as_it_says():
    random = np.random.default_rng(0)
    true = random.uniform(0.03, 0.97, 20_000)
    asks = random.random(len(true)) < true
    too_sure = 1 / (1 + ((1 - true) / true) ** 3 * 5)
    probabilities = np.zeros((len(true), len(KINDS)), np.float32)
    probabilities[:, KINDS.index("donation")] = 0.75 * too_sure
    probabilities[:, KINDS.index("paywall")] = 0.25 * too_sure
    probabilities[:, KINDS.index("editorial")] = 1 - too_sure
    kinds = np.where(asks, KINDS.index("donation"), KINDS.index("editorial"))
    calibrated = fit_calibration(probabilities, kinds).apply(probabilities)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-5)
    score = calibrated[:, KINDS.index("donation")] / 0.75
    for low in np.arange(0, 1, 0.1):
        some = (score >= low) & (score < low + 0.1)
        assert abs(asks[some].mean() - score[some].mean()) < 0.05


def test_without_any_ask_scores_stay_as_they_are():
    probabilities = np.full((4, len(KINDS)), 1 / len(KINDS), np.float32)
    calibrated = fit_calibration(probabilities, np.zeros(4, np.int64)).apply(probabilities)
    np.testing.assert_allclose(calibrated, probabilities, rtol=1e-5)


def test_texts_as_an_extractor_leaves_them_keep_the_article_and_long_asks():
    kinds = np.repeat(np.arange(len(KINDS)), 200)
    lengths = np.tile([3, 30], 100 * len(KINDS))
    left = as_extracted(kinds, lengths, np.random.default_rng(0))
    kept = {kind: np.sum(kinds[left] == number) for number, kind in enumerate(KINDS)}
    assert kept["editorial"] == 200
    assert 100 <= kept["donation"] < 200
    assert kept["furniture"] < 100
    assert set(np.flatnonzero((kinds == KINDS.index("paywall")) & (lengths == 30))) <= set(left)


def test_data_that_cannot_be_learned_from(tmp_path, pages):
    only_news = [page for page in pages if not {"donation", "paywall"} & set(page.labels)]
    with pytest.raises(DataError, match="no block of any page is labelled donation or paywall"):
        train(only_news, SMALL, jobs=1)
    with pytest.raises(DataError, match="publishers are too few"):
        train(pages[:30], replace(SMALL, folds=40), jobs=1)


def test_the_train_command_writes_model_and_card(tmp_path, monkeypatch):
    monkeypatch.setattr("detector.training.fit.Settings", lambda **changes: replace(SMALL, **changes))
    folder = tmp_path / "few"
    folder.mkdir()
    lines = (TOP / "training_data" / "labels.jsonl").read_text(encoding="utf-8").splitlines()[::20]
    (folder / "labels.jsonl").write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "m.safetensors"  # of bare text alone, as in a clone without the corpus
    result = CliRunner().invoke(main, ["train", str(folder), "-o", str(out), "--editorial-loss", "0.01", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    model = read_model(out)
    assert model.card["settings"]["editorial_loss"] == 0.01
    assert model.card["data"]["few"]["pages"] == len(lines)
    card = out.with_suffix(".md").read_text()
    assert card == card_markdown(model)
    assert "recall long" in card
    assert "first stage" in result.stderr
    page = Detector(out).scan("<p>Rain fell on the town.</p>")
    assert (page.input, page.blocks[0].xpath) == ("html", "/html[1]/body[1]/p[1]")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "m.md", "m.safetensors"]


def test_the_train_command_says_what_is_wrong_with_the_data(tmp_path):
    bad = folder_with(tmp_path / "bad", "{")
    result = CliRunner().invoke(main, ["train", str(bad), "-o", str(tmp_path / "m.safetensors")])
    assert result.exit_code == 1
    assert "labels.jsonl:1: not JSON" in result.stderr
    assert not (tmp_path / "m.safetensors").exists()


class TestShippedModel:
    """The shipped model is what the shipped settings and data give."""

    def test_settings(self):
        shipped = shipped_model().card["settings"]
        assert shipped == json.loads(json.dumps(asdict(Settings())))

    def test_written_text(self):
        pages = read_pages([TOP / "training_data"])
        hashes = [page_hash(p.id, p.group, p.lang, list(map(text_hash, p.texts)), p.labels) for p in pages]
        assert shipped_model().card["data"]["training_data"]["hash"] == data_hash(hashes)

    def test_corpus(self, reference):
        rows = [json.loads(line) for line in reference.REFERENCE.read_text(encoding="utf-8").splitlines()]
        hashes = []
        for row in rows:
            texts = [row["blocks"][at : at + 8] for at in range(0, len(row["blocks"]), 8)]
            labels = [reference.LABELS[letter] for letter in row["labels"]]
            hashes.append(page_hash(row["id"], row["group"], row["lang"], texts, labels))
        assert shipped_model().card["data"]["corpus"]["hash"] == data_hash(hashes)

    def test_card(self):
        assert (TOP / "models" / "README.md").read_text(encoding="utf-8") == card_markdown(shipped_model())
