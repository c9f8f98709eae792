"""The saved model: one safetensors file of plain arrays, with settings, thresholds and figures in its header.

Weights of the hashed n-grams are kept as 8-bit integers and a scale for each column. Reading a model executes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from detector.classifier import EXCERPT_BLOCKS, STRUCTURE_PARTS, Calibration, Classifier, HashedLinear, Networks
from detector.features import MAX_LENGTH, NgramSettings
from detector.output import whole_file
from detector.page import KINDS
from detector.segment import segment_html, segment_text

FORMAT = 2
"""Counted up when a model of before can no longer be read."""

_HEADER = "detector"
_SHIPPED = "detector.safetensors"


class ModelError(ValueError):
    """A file is not a model that this version can read; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """A classifier, its thresholds by kind of input, and the card: how it was made, how good it is."""

    classifier: Classifier
    thresholds: Mapping[str, float]
    card: Mapping[str, Any]


def shipped_model_path() -> Path:
    """Where the model that comes with the package lies: inside it, or in models/ of a checkout."""
    inside = Path(__file__).parent / "models" / _SHIPPED
    return inside if inside.exists() else Path(__file__).parent.parent / "models" / _SHIPPED


@cache
def shipped_model() -> Model:
    """The model that comes with the package, read once."""
    return read_model(shipped_model_path())


def write_model(model: Model, path: Path) -> None:
    """Write a model whole or not at all. Raises OSError."""
    classifier = model.classifier
    arrays: dict[str, NDArray[Any]] = {}
    ngrams = {}
    for name, linear in (("text", classifier.text), ("structure", classifier.structure)):
        if linear:
            arrays |= {f"{name}.{key}": getattr(linear, key) for key in ("table", "scale", "bias")}
            ngrams[name] = asdict(linear.settings)
    for name, networks in classifier.second.items():
        for key in Networks.__slots__:
            arrays[f"on_{name}.{key}"] = np.ascontiguousarray(getattr(networks, key), np.float32)
    header = {
        "format": FORMAT,
        "kinds": KINDS,
        "ngrams": ngrams,
        "thresholds": dict(model.thresholds),
        "calibration": {kind: asdict(line) for kind, line in classifier.calibration.items()},
        "card": dict(model.card),
    }
    with whole_file(path) as file:
        file.write(save(arrays, metadata={_HEADER: json.dumps(header)}))


def read_model(path: Path) -> Model:
    """Read and check a model.

    Raises
    ------
    ModelError
        The file is missing, not a model, cut off, of another format, or its arrays do not fit together.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such model") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: not a model, or cut off ({error}); train one with `detector train`") from error
    try:
        header = json.loads(metadata[_HEADER])
        form, kinds = header["format"], header["kinds"]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a model of this detector; train one with `detector train`") from error
    if form != FORMAT:
        raise ModelError(f"{path}: a model of format {form}, and this version reads format {FORMAT}; train it anew")
    if kinds != list(KINDS):
        raise ModelError(f"{path}: a model of the kinds {kinds}, and this version knows {list(KINDS)}; train it anew")
    try:
        model = _assemble(header, arrays)
        for page in (segment_html("<p>1</p>"), segment_text("1"), segment_text("1\n" * EXCERPT_BLOCKS)):
            model.classifier.probabilities(page)  # networks for other features would show here
        return model
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the model's parts do not fit together ({error}); train it anew") from error


def _unpack(settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], name: str, parts: int) -> HashedLinear:
    table, scale, bias = (arrays[f"{name}.{key}"] for key in ("table", "scale", "bias"))
    ngrams = NgramSettings(int(settings["bits"]), tuple(settings["characters"]), tuple(settings["words"]))
    columns = parts * len(KINDS)
    _expect(name, 1 <= ngrams.bits <= 30 and table.shape == (1 << ngrams.bits, columns + 1) and table.dtype == np.int8)
    _expect(name, scale.shape == (columns,) and bias.shape == (len(KINDS),))
    _expect(name, scale.dtype == bias.dtype == np.float32)
    _expect(name, all(type(n) is int and 2 <= n <= MAX_LENGTH for n in ngrams.characters))
    _expect(name, all(type(n) is int and 1 <= n <= MAX_LENGTH for n in ngrams.words))
    return HashedLinear(ngrams, table, scale, bias)


def _networks(arrays: Mapping[str, NDArray[Any]], name: str) -> Networks:
    networks = Networks(**{key: arrays[f"{name}.{key}"] for key in Networks.__slots__})
    units, outputs = networks.output.shape
    _expect(name, networks.hidden.ndim == 2 and networks.hidden.shape[1] == units)
    _expect(name, networks.hidden_bias.shape == (units,) and networks.output_bias.shape == (outputs,))
    _expect(name, outputs % len(KINDS) == 0 and outputs > 0)
    return networks


def _expect(name: str, fits: bool) -> None:
    if not fits:
        raise ValueError(f"an array of {name} has the wrong shape or type")


def _assemble(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Model:
    ngrams = header["ngrams"]
    text = _unpack(ngrams["text"], arrays, "text", 1)
    structure = _unpack(ngrams["structure"], arrays, "structure", STRUCTURE_PARTS) if "structure" in ngrams else None
    thresholds = {kind: float(value) for kind, value in header["thresholds"].items()}
    _expect("thresholds", "excerpt" in thresholds and ("html" in thresholds) == (structure is not None))
    second = {kind: _networks(arrays, f"on_{kind}") for kind in thresholds}
    calibration = {kind: Calibration(**header["calibration"][kind]) for kind in thresholds}
    return Model(Classifier(text, structure, second, calibration), thresholds, header["card"])
