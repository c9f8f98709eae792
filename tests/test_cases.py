"""Written pages as data: what must be flagged, what must not be, and what is known to fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.page import FLAGGED

CASES = Path(__file__).parent / "cases"
KNOWN_FAILURES = json.loads((CASES / "known_failures.json").read_text(encoding="utf-8"))
"""{"page": {"missed": [texts], "harmed": [texts]}}: blocks that today's model gets wrong."""


def read_cases(folder: str) -> list[tuple[Path, dict]]:
    lines = (CASES / folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [(CASES / folder / case["page"], case) for case in map(json.loads, lines)]


FLAGGED_CASES = read_cases("flagged")
NEGATIVE_CASES = read_cases("negative")


def wanted(case: dict) -> dict[str, str]:
    return {text: label for label in FLAGGED for text in case[label]}


@pytest.mark.parametrize(("path", "case"), FLAGGED_CASES, ids=lambda value: getattr(value, "name", ""))
def test_every_listed_text_is_a_block(detector, path, case):
    texts = {block.text for block in detector.scan(path.read_bytes()).blocks}
    assert wanted(case).keys() | set(case.get("unclear", [])) <= texts


@pytest.mark.parametrize(("path", "case"), FLAGGED_CASES, ids=lambda value: getattr(value, "name", ""))
def test_appeals_and_prompts_are_flagged(detector, path, case):
    known = set(KNOWN_FAILURES.get(path.name, {}).get("missed", []))
    found = {block.text for block in detector.scan(path.read_bytes()).blocks if block.label in FLAGGED}
    assert wanted(case).keys() - known <= found


@pytest.mark.parametrize(("path", "case"), FLAGGED_CASES + NEGATIVE_CASES, ids=lambda value: getattr(value, "name", ""))
def test_nothing_else_is_flagged(detector, path, case):
    known = set(KNOWN_FAILURES.get(path.name, {}).get("harmed", []))
    allowed = wanted(case).keys() | set(case.get("unclear", [])) | known
    found = {block.text for block in detector.scan(path.read_bytes()).blocks if block.label in FLAGGED}
    assert found <= allowed


@pytest.mark.parametrize(
    ("page", "kind", "text"),
    [
        pytest.param(page, kind, text, marks=pytest.mark.xfail(reason=f"known failure: {kind}"), id=f"{page}-{number}")
        for page, failures in KNOWN_FAILURES.items()
        for kind, texts in failures.items()
        for number, text in enumerate(texts)
    ],
)
def test_known_failures(detector, page, kind, text):
    (path,) = CASES.glob(f"*/{page}")
    flagged = {block.text for block in detector.scan(path.read_bytes()).blocks if block.label in FLAGGED}
    assert (text in flagged) == (kind == "missed")
