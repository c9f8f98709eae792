from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load, save

from detector.model import ModelError, read_model, shipped_model, shipped_model_path, write_model
from detector.segment import segment_html, segment_text


def test_a_model_that_is_written_and_read_scores_the_same(tmp_path, example):
    model = shipped_model()
    path = tmp_path / "copy.safetensors"
    write_model(model, path)
    again = read_model(path)
    assert path.read_bytes() == shipped_model_path().read_bytes()
    assert again.thresholds == model.thresholds
    for page in (segment_html(example.read_text()), segment_text("Give us $5 a month.\n\nRain fell.")):
        np.testing.assert_array_equal(model.classifier.probabilities(page), again.classifier.probabilities(page))


def changed_header(**changes) -> bytes:
    data = shipped_model_path().read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["detector"])
    return save(load(data), metadata={"detector": json.dumps(header | changes)})


def changed_array(name: str, array: np.ndarray) -> bytes:
    data = shipped_model_path().read_bytes()
    size = int.from_bytes(data[:8], "little")
    return save(load(data) | {name: array}, metadata=json.loads(data[8 : 8 + size])["__metadata__"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a model, or cut off"),
        (b"just some text", "not a model, or cut off"),
        (pickle.dumps({"a": 1}), "not a model, or cut off"),
        (save({"a": np.zeros(3)}), "not a model of this detector"),
        (save({"a": np.zeros(3)}, metadata={"detector": "{"}), "not a model of this detector"),
        (save({"a": np.zeros(3)}, metadata={"detector": "[]"}), "not a model of this detector"),
    ],
    ids=["empty", "text", "pickle", "other arrays", "broken header", "wrong header"],
)
def test_what_is_not_a_model_is_one_clear_error(tmp_path, content, reason):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=reason) as error:
        read_model(path)
    assert str(path) in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match="no such model"):
        read_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_model_that_is_cut_off(tmp_path, share):
    path = tmp_path / "m.safetensors"
    data = shipped_model_path().read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match="cut off"):
        read_model(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: changed_header(format=99), "format 99"),
        (lambda: changed_header(kinds=["spam", "ham"]), "kinds"),
        (lambda: changed_header(thresholds={}), "do not fit"),
        (lambda: changed_header(thresholds={"html": "high", "text": 0.5, "excerpt": 0.5}), "do not fit"),
        (lambda: changed_header(ngrams={"text": {"bits": 3, "characters": [4], "words": [1]}}), "do not fit"),
        (lambda: changed_header(calibration={}), "do not fit"),
        (lambda: changed_header(ngrams={"text": {"bits": 17, "characters": [1], "words": [1]}}), "do not fit"),
        (lambda: changed_array("text.table", np.zeros((1 << 17, 10), np.float32)), "do not fit"),
        (lambda: changed_array("text.scale", np.zeros(9)), "do not fit"),
        (lambda: changed_array("text.bias", np.zeros(4, np.float32)), "do not fit"),
        (lambda: changed_array("on_text.hidden_bias", np.zeros(7, np.float32)), "do not fit"),
    ],
    ids=[
        "format",
        "kinds",
        "no thresholds",
        "odd threshold",
        "bits",
        "no calibration",
        "lengths",
        "table's type",
        "scale's type",
        "bias",
        "network",
    ],
)
def test_a_model_whose_parts_do_not_fit(tmp_path, content, reason):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content())
    with pytest.raises(ModelError, match=reason):
        read_model(path)


def test_a_model_with_networks_for_other_features(tmp_path):
    networks = shipped_model().classifier.second["text"]
    arrays = load(shipped_model_path().read_bytes())
    arrays["on_text.hidden"] = np.ascontiguousarray(networks.hidden[:-1])
    data = shipped_model_path().read_bytes()
    size = int.from_bytes(data[:8], "little")
    path = tmp_path / "m.safetensors"
    path.write_bytes(save(arrays, metadata=json.loads(data[8 : 8 + size])["__metadata__"]))
    with pytest.raises(ModelError, match="do not fit"):
        read_model(path)
