"""Write the tables of training_data/README.md: what the written text and the corpus by reference hold.

python training_data/counts.py
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

from detector.training.data import read_pages

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
ASKS = {"donation": "d", "paywall": "p"}


def table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def written() -> str:
    pages = read_pages([HERE])
    by_language = defaultdict(list)
    for page in pages:
        by_language[page.lang].append(page)
    rows: list[list[object]] = []
    for language, own in sorted(by_language.items(), key=lambda item: (-len(item[1]), item[0])):
        blocks = Counter(label for page in own for label in page.labels)
        neither = sum(not set(page.labels) & set(ASKS) for page in own)
        with_label = [sum(label in page.labels for page in own) for label in ASKS]
        batches = len({page.group for page in own})
        rows.append(
            [language, batches, len(own), *with_label, neither, *(blocks[label] for label in ("editorial", *ASKS))]
        )
    total = ["all", len({page.group for page in pages}), *(sum(row[column] for row in rows) for column in range(2, 9))]
    head = ["language", "batches", "pages", "with donation", "with paywall", "with neither"]
    return table([*head, "editorial blocks", "donation blocks", "paywall blocks"], [*rows, total])


def corpus() -> str:
    rows = [json.loads(line) for line in (HERE / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    repositories = Counter(row["repository"] for row in rows)
    letters = Counter(letter for row in rows for letter in row["labels"])
    asks = ", ".join(f"{letters[letter]:,} {label}" for label, letter in ASKS.items())
    return (
        f"{len(rows):,} pages of {len({row['group'] for row in rows}):,} publishers in"
        f" {len({row['lang'] for row in rows})} languages; {sum(letters.values()):,} blocks, {asks}.\n\n"
        "From the public repositories "
        + ", ".join(f"{name} ({count})" for name, count in sorted(repositories.items(), key=lambda item: -item[1]))
        + "."
    )


def main() -> None:
    text = README.read_text(encoding="utf-8")
    for name, content in (("written", written()), ("corpus", corpus())):
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        text = mark.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
