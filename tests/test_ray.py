"""Real runs of a local Ray: Parquet in and out."""

from __future__ import annotations

import os
import pickle

import pytest

pytest.importorskip("ray", reason="the ray extra is not installed; .ci/run tests it in its own environment")

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.data.expressions import col

from detector.adapters.ray import DetectorBatches

FORMATS = pytest.mark.parametrize("batch_format", ["pyarrow", "numpy"])


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, logging_level="error")
    yield
    ray.shutdown()


def run(folder, table, batch_format, **arguments):
    """The rows that come out, in order, and their schema."""
    pq.write_table(table, folder / "in.parquet")
    cleaned = ray.data.read_parquet(str(folder / "in.parquet")).map_batches(
        DetectorBatches,
        fn_constructor_kwargs=arguments,
        batch_format=batch_format,
        batch_size=3,
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    cleaned.write_parquet(str(folder / "out"))
    return pq.read_table(folder / "out").sort_by("url")


def table_of(pages, column, kind):
    rows = [(f"{name}-{n}", page) for n in range(2) for name, page in pages.items()]
    urls, values = zip(*rows, strict=True)
    if kind == pa.binary():
        values = [value.encode() for value in values]
    return pa.table({"url": urls, column: pa.array(values, kind), "rank": range(len(rows))})


@FORMATS
def test_rows_get_the_text_that_the_api_gives_and_what_was_removed(detector, pages, tmp_path, batch_format):
    table = table_of(pages, "content", pa.large_string() if batch_format == "pyarrow" else pa.string())
    out = run(tmp_path, table, batch_format, column="content")
    assert out.column_names == [*table.column_names, "removed_labels", "removed_scores", "removed_words"]
    assert out.schema.field("removed_labels").type == pa.list_(pa.string())
    assert out.schema.field("removed_scores").type == pa.list_(pa.float64())
    assert out.schema.field("removed_words").type == pa.int64()
    assert out.schema.field("content").type == table.schema.field("content").type
    assert dict(zip(out["url"].to_pylist(), out["rank"].to_pylist(), strict=True)) == dict(
        zip(table["url"].to_pylist(), table["rank"].to_pylist(), strict=True)
    )
    rows = {row["url"]: row for row in out.to_pylist()}
    for name in ("html", "text"):
        blocks = [block for block in detector.scan(pages[name]).blocks if block.label in ("donation", "paywall")]
        row = rows[f"{name}-1"]
        assert row["content"] == detector.clean(pages[name])
        assert row["removed_labels"] == [block.label for block in blocks]
        assert row["removed_scores"] == [block.score for block in blocks]
        assert row["removed_words"] == sum(len(block.text.split()) for block in blocks) > 0
    assert (rows["whole-0"]["removed_labels"], rows["whole-0"]["removed_words"]) == ([], 0)


@FORMATS
def test_what_fails_passes_unchanged_and_can_be_counted(pages, tmp_path, batch_format):
    table = table_of({"none": None, "bad": pages["bad"], "text": pages["text"]}, "text", pa.string())
    out = run(tmp_path, table, batch_format)
    rows = {row["url"]: row for row in out.to_pylist()}
    for name, page in (("bad-0", pages["bad"]), ("none-1", None)):
        assert rows[name]["text"] == page
        assert rows[name]["removed_labels"] is rows[name]["removed_words"] is None
    assert ray.data.read_parquet(str(tmp_path / "out")).filter(expr=col("removed_words").is_null()).count() == 4


@FORMATS
def test_bytes_in_bytes_out_and_html_in_front_of_an_extractor(detector, pages, tmp_path, batch_format):
    table = table_of({"html": pages["html"]}, "html", pa.binary())
    out = run(tmp_path, table, batch_format, column="html", to="html")
    assert out.schema.field("html").type == pa.binary()
    assert out["html"].to_pylist() == [detector.clean(pages["html"], to="html").encode()] * 2


def test_a_page_that_fails_is_logged_by_its_name(pages, caplog):
    batch = pa.table({"id": ["a", "b"], "text": [pages["bad"], pages["whole"]]})
    DetectorBatches()(batch)
    assert "a: the page " in caplog.text
    assert "b: left whole: " in caplog.text


def test_a_batch_without_rows_or_without_the_column():
    empty = pa.table({"text": pa.array([], pa.string())})
    assert DetectorBatches()(empty).column_names == ["text", "removed_labels", "removed_scores", "removed_words"]
    with pytest.raises(ValueError, match="no column 'html' among text: name the one that has the pages"):
        DetectorBatches("html")(empty)


def test_the_class_pickles_small_and_reads_no_model_before_it_runs(monkeypatch):
    monkeypatch.setattr("detector.adapters.cleaning.Detector", None)
    assert len(pickle.dumps(DetectorBatches())) < 1000
