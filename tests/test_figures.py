from __future__ import annotations

import importlib.util
import json
import random

import numpy as np
import pytest

from detector import Detector
from detector.page import FLAGGED, KINDS
from detector.training.data import LabelledPage, read_pages
from detector.training.evaluate import evaluate, table
from detector.training.figures import Figure, kind_figures, score

ASK = "please give us five dollars a month"
GATE = "subscribe now to read the whole story"
NEWS = "the old bridge was closed for repairs on tuesday"


def page(*blocks, page_id="a", lang="en"):
    texts, labels = zip(*blocks, strict=True)
    return LabelledPage(page_id, page_id, lang, "open", texts, labels, None, 1)


def test_figures_of_one_page_by_hand():
    labelled = page(
        (NEWS, "editorial"), (ASK, "donation"), ("Later", "donation"), (GATE, "paywall"), ("Login", "unclear")
    )
    figures = score([labelled], {"a": [(ASK, "paywall"), ("later", "donation"), ("Login", "paywall")]})
    assert figures["recall long"] == Figure(1, 2)
    assert figures["recall short"] == Figure(1, 1)
    assert figures["precision"] == Figure(8, 8)
    assert figures["editorial loss"] == Figure(0, 9)
    assert figures["pages clean"] == Figure(0, 1)
    assert figures["pages harmed"] == Figure(0, 1)
    assert figures["class"] == Figure(1, 2)
    assert figures["paywall long"] == Figure(0, 1)
    assert figures["en long"] == Figure(1, 2)


def test_a_page_that_was_not_judged_counts_as_nothing_flagged():
    assert score([page((ASK, "donation"))], {})["recall long"] == Figure(0, 1)


def test_other_cuts_count_by_their_words():
    labelled = page((NEWS, "editorial"), (ASK, "donation"))
    assert score([labelled], {"a": [(f"{ASK} thank you", "donation")]})["recall long"] == Figure(1, 1)
    assert score([labelled], {"a": [(f"{NEWS} {ASK}", "donation")]})["editorial loss"] == Figure(9, 9)


def test_the_definitions_are_those_of_the_reference_tool(corpus):
    spec = importlib.util.spec_from_file_location("reference", corpus.parent / "tools" / "score.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    pages = read_pages([corpus])[::20]
    chance = random.Random(0)
    flagged = {
        page.id: [
            (text, chance.choice(FLAGGED))
            for text, label in zip(page.texts, page.labels, strict=True)
            if chance.random() < (0.8 if label in FLAGGED else 0.02)
        ]
        for page in pages
    }
    gold = [
        {
            **{name: getattr(page, name) for name in ("id", "lang", "access")},
            "blocks": [{"text": text, "label": label} for text, label in zip(page.texts, page.labels, strict=True)],
        }
        for page in pages
    ]
    predicted = {key: [{"text": text, "label": label} for text, label in rows] for key, rows in flagged.items()}
    count, _ = reference.score(gold, predicted)
    names = {"recall long": "long", "recall short": "short", "editorial loss": "editorial"}
    for name, figure in score(pages, flagged).items():
        key = names.get(name, name)
        assert (figure.hits, figure.total) == (count[key, "hit"], count[key, "all"]), name


def test_kinds_by_hand():
    donation, paywall = KINDS.index("donation"), KINDS.index("paywall")
    truth = np.array([donation, donation, paywall, -1])
    found = np.array([donation, paywall, paywall, donation])
    figures = kind_figures(truth, found)
    assert (figures["donation"].precision, figures["donation"].recall, figures["donation"].support) == (1.0, 0.5, 2)
    assert figures["paywall"].f1 == pytest.approx(2 / 3)
    assert figures["teaser"].f1 == 0


def test_evaluating_labelled_pages_by_both_inputs(tmp_path):
    from test_data import PAGE, PROMPT, folder_with

    html = "<p>Rain fell on the town.</p><button>Give $5</button>"
    result = evaluate(read_pages([folder_with(tmp_path / "a", PAGE, PROMPT, html={"p1": html})]), Detector())
    assert result["html"]["pages"] == 1
    assert result["text"]["pages"] == 2
    assert result["text"]["figures"]["recall long"]["total"] == 0
    assert result["text"]["figures"]["recall short"]["total"] == 2
    assert result["html"]["kinds"]["donation"]["support"] == 1
    json.dumps(result)
    assert "recall short" in table(result)
