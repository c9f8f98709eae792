"""Real runs of a LocalPipelineExecutor: JSONL in, several tasks, JSONL out."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import sys

import pytest
from conftest import TOP

pytest.importorskip("datatrove", reason="the datatrove extra is not installed; .ci/run tests it in its own environment")

import dill
from datatrove.executor import LocalPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from detector.adapters.datatrove import DetectorStep

TASKS = 3


def run(folder, pages, step, workers=2):
    """The documents that come out, by id, the statistics of the step, and what was logged."""
    (folder / "in").mkdir()
    for task in range(TASKS):
        with open(folder / "in" / f"{task}.jsonl", "w") as file:
            for name, page in pages.items():
                file.write(json.dumps({"id": f"{name}-{task}", "text": page, "source": "a test"}) + "\n")
    LocalPipelineExecutor(
        [JsonlReader(str(folder / "in")), step, JsonlWriter(str(folder / "out"))],
        tasks=TASKS,
        workers=workers,
        logging_dir=str(folder / "logs"),
    ).run()
    documents = {}
    for path in (folder / "out").iterdir():
        with gzip.open(path) as file:
            documents |= {doc["id"]: doc for doc in map(json.loads, file)}
    stats = json.loads((folder / "logs" / "stats.json").read_text())
    counts = next(entry["stats"] for entry in stats if "paywall-detector" in entry["name"])
    totals = {key: value["total"] if isinstance(value, dict) else value for key, value in counts.items()}
    log = "".join(path.read_text() for path in (folder / "logs" / "logs").iterdir())
    return documents, totals, log


@pytest.fixture(scope="module")
def ran(pages, tmp_path_factory):
    return run(tmp_path_factory.mktemp("datatrove"), pages, DetectorStep())


def test_documents_get_the_text_and_the_spans_that_the_api_gives(ran, detector, pages):
    documents, _, _ = ran
    assert len(documents) == TASKS * len(pages)
    for task in range(TASKS):
        doc = documents[f"text-{task}"]
        assert doc["text"] == detector.clean(pages["text"])
        assert doc["metadata"]["source"] == "a test"
        flagged = [block for block in detector.scan(pages["text"]).blocks if block.label in ("donation", "paywall")]
        assert flagged
        assert doc["metadata"]["removed"] == [
            {"start": block.start, "end": block.end, "label": block.label, "score": block.score} for block in flagged
        ]
        assert [pages["text"][span["start"] : span["end"]] for span in doc["metadata"]["removed"]] == [
            block.text for block in flagged
        ]


def test_what_fails_passes_unchanged_and_is_logged(ran, pages):
    documents, _, log = ran
    assert documents["bad-0"]["text"] == pages["bad"]
    assert "removed" not in documents["bad-0"]["metadata"]
    assert documents["whole-1"]["metadata"]["removed"] == []
    for task in range(TASKS):
        assert f"bad-{task}: the page " in log
        assert f"whole-{task}: left whole: " in log
    assert "Traceback" not in log


def test_the_counts_are_in_datatroves_own_statistics(ran, detector, pages):
    _, counts, _ = ran
    judged = [detector.scan(pages[name]) for name in ("html", "text", "whole")]
    labels = [block.label for page in judged for block in page.blocks]
    assert counts["total"] == TASKS * len(pages)
    assert counts["failed"] == TASKS
    assert counts["kept_whole"] == TASKS * sum(page.is_kept_whole for page in judged)
    assert counts["flagged_donation"] == TASKS * labels.count("donation")
    assert counts["flagged_paywall"] == TASKS * labels.count("paywall")


def test_html_in_html_out_in_front_of_an_extractor(detector, pages, tmp_path):
    documents, counts, log = run(tmp_path, pages, DetectorStep(to="html", drop=["donation"]), workers=1)
    doc = documents["html-0"]
    assert doc["text"] == detector.clean(pages["html"], to="html", drop=["donation"])
    asks = [block for block in detector.scan(pages["html"]).blocks if block.label == "donation"]
    assert doc["metadata"]["removed"] == [
        {"xpath": block.xpath, "label": "donation", "score": block.score} for block in asks
    ]
    assert documents["text-0"]["text"] == pages["text"]
    assert counts["failed"] == 3 * TASKS
    assert "text-0: the page is plain text" in log


def test_the_recipe_for_slurm_makes_an_executor(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(SlurmPipelineExecutor, "run", lambda executor: made.append(executor))
    monkeypatch.chdir(tmp_path)
    code = re.search(r"^```python\n(.*?)^```$", (TOP / "docs" / "scale.md").read_text(), re.DOTALL | re.MULTILINE)[1]
    exec(code, {})
    assert isinstance(made[0].pipeline[1], DetectorStep)
    assert len(dill.dumps(made[0])) < 10_000


def test_the_step_pickles_small_and_reads_no_model_before_it_runs(monkeypatch):
    monkeypatch.setattr("detector.adapters.cleaning.Detector", None)
    assert len(pickle.dumps(DetectorStep())) < 1000


def test_settings_that_are_wrong_are_told_before_anything_runs():
    with pytest.raises(ValueError, match="'adverts' is neither a label nor a kind"):
        DetectorStep(drop=["adverts"])
    with pytest.raises(ValueError, match="neither 'text' nor 'html'"):
        DetectorStep(to="markdown")


def test_it_works_on_the_base_install():
    assert not {"pyarrow", "nltk", "trafilatura"} & set(sys.modules)
