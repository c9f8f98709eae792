"""A model's card as Markdown: how it was made, how good it is on publishers it has not seen, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.model import Model

_SHARES = ("recall long", "recall short", "precision", "editorial loss", "pages clean", "pages harmed", "class")

_INTRODUCTION = """\
# Model card

A model of paywall-detector {version}. It judges paragraphs of web pages, and of text that was taken from them, as
editorial, donation, paywall or other. Made by `detector train`; read without executing anything.

**For:** taking fundraising appeals and subscription prompts out of scraped news before it is stored, searched or
learned from, and counting them.

**Not for:** deciding what a publisher's wishes or rights are, getting past a paywall, judging single sentences out of
their page, or languages that the table below lacks. Where it is unsure it leaves text in. Texts of charities about
giving, and membership offers in words of their own, are where it errs most.
"""


def card_markdown(model: Model) -> str:
    """The card of a model."""
    card = model.card
    return "\n".join(
        [
            _INTRODUCTION.format(version=card["version"]),
            _made(model),
            "## Held-out figures\n",
            "Folds by publisher; each fold is judged by a model that has seen none of its publishers, at a threshold"
            " chosen on the other folds.\n",
            *(_figures(kind, card["figures"][kind]) for kind in card["figures"]),
        ]
    )


def _made(model: Model) -> str:
    card = model.card
    rows = [
        [
            name,
            f"{data['pages']:,}",
            f"{data['publishers']:,}",
            f"{data['languages']}",
            f"{data['blocks']:,}",
            data["hash"][:16],
        ]
        for name, data in card["data"].items()
    ]
    made_with = ", ".join(f"{name} {version}" for name, version in card["made with"].items())
    thresholds = ", ".join(f"{value:.4f} on {kind}" for kind, value in model.thresholds.items())
    settings = ", ".join(f"{name} {_setting(value)}" for name, value in card["settings"].items())
    return "\n".join(
        [
            "## Data\n",
            _table(["folder", "pages", "publishers", "languages", "blocks", "hash"], rows),
            f"Made with {made_with}.\n",
            f"Thresholds: {thresholds}.\n",
            f"Settings: {settings}.\n",
        ]
    )


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_setting(inner)}" for name, inner in value.items()) + ")"
    if isinstance(value, (list, tuple)):
        return "/".join(map(str, value))
    return str(value)


def _figures(kind: str, sources: Mapping[str, Any]) -> str:
    title = "HTML" if kind == "html" else "bare text"
    sources = {name: source for name, source in sources.items() if source["figures"]["editorial loss"][1]}
    shares = [[name, *(_share(sources[source]["figures"][name]) for source in sources)] for name in _SHARES]
    lines = [f"### Input: {title}\n", _table(["figure", *sources], shares)]
    for source, figures in sources.items():
        lines.append(f"Recall by label and language, {title}, {source}:\n")
        named = {name: figure for name, figure in figures["figures"].items() if name not in _SHARES}
        groups = sorted({name.rsplit(" ", 1)[0] for name in named}, key=lambda name: (len(name) < 4, name))
        rows = [
            [group, *(_share(named.get(f"{group} {size}", [0, 0])) for size in ("long", "short"))] for group in groups
        ]
        lines.append(_table(["of", "long", "short"], rows))
        lines.append(f"Kinds of blocks, {title}, {source}:\n")
        kinds = [
            [name, *(f"{row[column]:.3f}" for column in ("precision", "recall", "f1")), f"{row['support']:,}"]
            for name, row in figures["kinds"].items()
        ]
        lines.append(_table(["kind", "precision", "recall", "F1", "blocks"], kinds))
    return "\n".join(lines)


def _share(figure: list[int]) -> str:
    hits, total = figure
    return f"{hits / total:.4f} ({hits:,} of {total:,})" if total else "-"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
