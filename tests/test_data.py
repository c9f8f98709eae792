from __future__ import annotations

import gzip
import json

import pytest
from click.testing import CliRunner

from detector.cli import main
from detector.training.data import DataError, align, check, read_pages, segmented
from detector.training.survey import near_duplicates, short_languages

PAGE = {
    "id": "p1",
    "group": "g",
    "lang": "en",
    "access": "open",
    "blocks": [{"text": "Rain fell on the town.", "label": "editorial"}, {"text": "Give $5", "label": "donation"}],
}
PROMPT = {**PAGE, "id": "p2", "blocks": [{"text": "Subscribe to read on", "label": "paywall"}]}


def folder_with(path, *pages, html=None):
    path.mkdir(exist_ok=True)
    lines = [page if isinstance(page, str) else json.dumps(page) for page in pages]
    (path / "labels.jsonl").write_text("\n".join(lines) + "\n")
    for page_id, text in (html or {}).items():
        (path / "pages").mkdir(exist_ok=True)
        (path / "pages" / f"{page_id}.html.gz").write_bytes(gzip.compress(text.encode()))
    return path


def test_pages_are_read_with_their_place(tmp_path):
    folder = folder_with(tmp_path / "a", PAGE, PROMPT)
    first, second = read_pages([folder])
    assert first.texts == ("Rain fell on the town.", "Give $5")
    assert first.labels == ("editorial", "donation")
    assert second.place == f"{folder / 'labels.jsonl'}:2"
    assert (first.source, first.html_file) == ("a", None)


def with_block(**block):
    return {**PAGE, "blocks": [block]}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({**PAGE, "id": ""}, '"id" is missing'),
        ({key: value for key, value in PAGE.items() if key != "group"}, '"group" is missing'),
        ({**PAGE, "access": "free"}, "'free'"),
        ({**PAGE, "blocks": []}, '"blocks" is missing or empty'),
        (with_block(text=" ", label="editorial"), 'block 0 has no "text"'),
        (with_block(text="a", label="spam"), "unknown label 'spam'"),
        (with_block(text="a"), "unknown label None"),
    ],
)
def test_a_bad_line_is_told_with_file_and_line(tmp_path, line, reason):
    folder = folder_with(tmp_path / "a", PAGE, line, PROMPT)
    with pytest.raises(DataError, match=r"labels\.jsonl:2: .*") as error:
        read_pages([folder])
    assert reason in str(error.value)
    (problem,) = check([folder])
    assert problem.startswith(f"{folder / 'labels.jsonl'}:2: ")
    assert reason in problem


def test_an_id_that_stands_twice(tmp_path):
    folders = [folder_with(tmp_path / "a", PAGE, PROMPT), folder_with(tmp_path / "b", PAGE)]
    (problem,) = check(folders)
    assert problem == f"{folders[1] / 'labels.jsonl'}:1: the id p1 stands at {folders[0] / 'labels.jsonl'}:1 already"


def test_folders_that_are_no_labelled_data(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "labels.jsonl").write_text("")
    assert "not readable" in check([tmp_path / "empty"])[0]
    assert "no labelled page" in check([tmp_path / "blank"])[0]


def test_data_without_any_ask(tmp_path):
    folder = folder_with(tmp_path / "a", with_block(text="Rain", label="editorial"))
    assert [problem.split(": ")[1] for problem in check([folder])] == [
        "no block of any page is labelled donation",
        "no block of any page is labelled paywall",
    ]


def test_html_that_is_not_the_pages(tmp_path):
    folder = folder_with(tmp_path / "a", PAGE, PROMPT, html={"p1": "<p>Something else"})
    (folder / "pages" / "p2.html.gz").write_bytes(b"not packed")
    first, second = check([folder])
    assert first.startswith(f"{folder / 'labels.jsonl'}:1: the page's HTML holds 0 of its 2 labelled blocks")
    assert "cannot be unpacked" in second


def test_html_is_cut_anew_and_takes_the_labels(tmp_path):
    html = "<nav>Home</nav><p>Rain fell on<br><br>the town.</p><b>Give $5</b>"
    (page,) = read_pages([folder_with(tmp_path / "a", PAGE, html={"p1": html})])
    cut, labels = segmented(page)
    assert cut.texts == ["Home", "Rain fell on", "the town.", "Give $5"]
    assert labels == ["unclear", "unclear", "unclear", "donation"]


def test_labels_are_carried_over_by_words():
    labelled = ["Give", "Give", "one two three four five six seven eight nine", "Later"]
    labels = ["donation", "furniture", "editorial", "unclear"]
    texts = ["Give", "one two three four five", "Give", "six seven eight nine Later", "Give", "new"]
    assert align(texts, labelled, labels) == ["donation", "editorial", "furniture", "editorial", "unclear", "unclear"]


def test_the_check_command(tmp_path):
    good = folder_with(tmp_path / "good", PAGE, PROMPT)
    result = CliRunner().invoke(main, ["check", str(good)])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "near-duplicates: 0 of 1 blocks of five words or more (0.00 %)",
        "languages with fewer than 12 pages with donation, 12 pages with paywall, 16 pages with neither: 1",
        "  en: 1 donation, 1 paywall, 0 neither",
    ]
    bad = folder_with(tmp_path / "bad", "{")
    result = CliRunner().invoke(main, ["check", str(bad)])
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{bad / 'labels.jsonl'}:1: ")


def page_of(number: int, text: str, lang: str = "en") -> dict:
    return {**PAGE, "id": f"p{number}", "lang": lang, "blocks": [{"text": text, "label": "editorial"}]}


def test_blocks_that_nearly_repeat_others_of_their_language_are_told(tmp_path):
    told = "Rain fell on the town all day and the river rose."
    nearly = "Rain fell on the town all day and nobody went out."
    pages = [told, nearly, "The river rose, and rain fell elsewhere too.", "Give $5 now"]
    folder = folder_with(tmp_path / "a", *(page_of(*page) for page in enumerate(pages)), page_of(9, told, "de"))
    found, compared = near_duplicates(read_pages([folder]))
    assert compared == 4  # one has fewer than five words
    assert [(str(one.page.id), one.other.id, one.shared, one.runs) for one in found] == [("p1", "p0", 4, 7)]
    assert "block 0 shares 4 of its 7 runs" in str(found[0])


def test_a_page_may_repeat_itself(tmp_path):
    page = {**PAGE, "blocks": [{"text": "Give us five dollars every month.", "label": "donation"}] * 2}
    assert near_duplicates(read_pages([folder_with(tmp_path / "a", page)]))[0] == []


def test_languages_with_few_pages_are_told(tmp_path):
    asks = [{**PAGE, "id": f"d{n}"} for n in range(12)] + [{**PROMPT, "id": f"p{n}"} for n in range(12)]
    others = [page_of(n, "Rain fell.") | {"id": f"n{n}"} for n in range(16)]
    folder = folder_with(tmp_path / "a", *asks, *others, page_of(0, "Regen fiel.", "de") | {"id": "x"})
    assert list(short_languages(read_pages([folder]))) == ["de: 0 donation, 0 paywall, 1 neither"]


def test_the_written_training_text_is_clean_and_says_nothing_twice():
    from conftest import TOP

    assert check([TOP / "training_data"]) == []
    pages = read_pages([TOP / "training_data"])
    found, compared = near_duplicates(pages)
    assert len(found) < 0.01 * compared
    assert list(short_languages(pages)) == []
