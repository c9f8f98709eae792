"""What other tools make of a page, by the calls that their documentation gives. Needs the bench extra."""

from __future__ import annotations

import re
from collections.abc import Callable


def extractors() -> dict[str, Callable[[str], str]]:
    """By name: a page's HTML -> the text that the tool takes for its content."""
    import justext
    import trafilatura
    from boilerpy3.extractors import ArticleExtractor
    from readability import Document
    from resiliparse.extract.html2text import extract_plain_text

    article = ArticleExtractor(raise_on_failure=False)
    stop_words = frozenset().union(*map(justext.get_stoplist, justext.get_stoplists()))

    def by_justext(html: str) -> str:
        paragraphs = justext.justext(html, stop_words)
        return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)

    def by_readability(html: str) -> str:
        return re.sub(r"<[^>]+>", " ", re.sub(r"</(p|div|li|h\d)>", "\n", Document(html).summary()))

    return {
        "trafilatura": lambda html: trafilatura.extract(html) or "",
        "readability-lxml": by_readability,
        "jusText": by_justext,
        "boilerpy3": article.get_content,
        "resiliparse main content": lambda html: extract_plain_text(html, main_content=True),
    }
