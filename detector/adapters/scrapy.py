"""Scrapy: an item pipeline that cleans pages in items, and a downloader middleware that judges responses.

Needs the ``scrapy`` extra. In a project's settings::

    ITEM_PIPELINES = {"detector.adapters.scrapy.DetectorPipeline": 300}
    DOWNLOADER_MIDDLEWARES = {"detector.adapters.scrapy.DetectorMiddleware": 100}

Each works without the other. The settings they read:

DETECTOR_FIELD
    The item's field that has a page, HTML or plain text, str or bytes ("html").
DETECTOR_TEXT_FIELD
    The field that gets the text that is left, a paragraph a line ("text"); it may be the same one.
DETECTOR_LABELS_FIELD
    The field that gets the blocks ("labels"): a list of dictionaries with text, label, kind, score, and start and end
    (of plain text) or xpath (of HTML), as ``detector scan --format jsonl`` has them.
DETECTOR_DROP
    Labels and kinds to take out (["donation", "paywall"]).
DETECTOR_THRESHOLD
    The score from which on a block is flagged (the model's own).
DETECTOR_MODEL
    A saved model (the one that comes with the package).
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from itemadapter import ItemAdapter
from w3lib.encoding import http_content_type_encoding

from detector.adapters.cleaning import Cleaner
from detector.encoding import decode
from detector.page import FLAGGED, Page, PageError

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.settings import Settings
    from scrapy.statscollectors import StatsCollector

META_KEY = "detector"
"""Where `DetectorMiddleware` puts the page into ``response.meta``."""

_log = logging.getLogger(__name__)


class DetectorPipeline:
    """Adds to every item with a page the text that is left of it and the labels of its blocks.

    Items may be dictionaries, dataclasses, attrs classes or Items. An item whose page cannot be judged is logged and
    passes as it was, as do items without the field.

    Counted in Scrapy's stats: ``detector/pages``, ``detector/flagged/donation``, ``detector/flagged/paywall`` (blocks),
    ``detector/kept_whole`` (pages of which more was flagged than is credible, so that nothing was taken),
    ``detector/failures``, and ``detector/items_without_page``.
    """

    def __init__(self, cleaner: Cleaner, settings: Settings, stats: StatsCollector) -> None:
        self.cleaner = cleaner
        self.stats = stats
        self.field = settings.get("DETECTOR_FIELD", "html")
        self.text_field = settings.get("DETECTOR_TEXT_FIELD", "text")
        self.labels_field = settings.get("DETECTOR_LABELS_FIELD", "labels")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> DetectorPipeline:
        """Called by Scrapy. Raises ValueError (ModelError is one) where a setting is wrong."""
        return cls(_cleaner(crawler.settings), crawler.settings, crawler.stats)

    def process_item(self, item: Any, spider: object = None) -> Any:
        """The same item, with the two fields set."""
        adapter = ItemAdapter(item)
        if adapter.get(self.field) is None:
            self.stats.inc_value("detector/items_without_page")
            return item
        try:
            self._clean(adapter)
        except PageError as error:
            self.stats.inc_value("detector/failures")
            _log.warning("%s: %s", _name(adapter), error)
        return item

    def _clean(self, adapter: ItemAdapter) -> None:
        self._check_fields(adapter.item)
        cleaned = self.cleaner.clean(adapter[self.field])
        adapter[self.text_field] = cleaned.text
        adapter[self.labels_field] = [block.as_dict() for block in cleaned.page.blocks]
        self.stats.inc_value("detector/pages")
        for block in cleaned.page.blocks:
            if block.label in FLAGGED:
                self.stats.inc_value(f"detector/flagged/{block.label}")
        if cleaned.left_whole:
            self.stats.inc_value("detector/kept_whole")
            _log.warning("%s: %s", _name(adapter), cleaned.left_whole)

    def _check_fields(self, item: Any) -> None:
        """Both fields, before either is set, so that an item that lacks one stays as it was."""
        known = ItemAdapter.get_field_names_from_class(type(item))  # None: any field may be set
        for setting, field in (("TEXT", self.text_field), ("LABELS", self.labels_field)):
            if known is not None and field not in known:
                raise PageError(
                    f"{type(item).__name__} has no field {field!r}: add it, or name another in DETECTOR_{setting}_FIELD"
                )


class DetectorMiddleware:
    """Puts the `Page` of every response into ``response.meta["detector"]``.

    The response is judged when something of the page is first asked for, so that one that nobody asks about costs
    nothing. PageError is raised there where it cannot be judged; it names the address.

    Do not hand ``response.meta`` on to further requests as a whole: the page would go with it.
    """

    def __init__(self, cleaner: Cleaner) -> None:
        self.cleaner = cleaner

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> DetectorMiddleware:
        """Called by Scrapy. Raises ValueError (ModelError is one) where a setting is wrong."""
        return cls(_cleaner(crawler.settings))

    def process_response(self, request: Request, response: Response, spider: object = None) -> Response:
        """The same response; its request's meta is the response's."""
        request.meta[META_KEY] = LazyPage(self.cleaner, response)
        return response


class LazyPage:
    """Stands for a response's `Page`: has all that it has, and judges the response once, when it is first asked."""

    def __init__(self, cleaner: Cleaner, response: Response) -> None:
        # Not the response itself: its request's meta holds this, and the ring would keep both in memory.
        self._cleaner = cleaner
        self._url = response.url
        self._content_type = response.headers.get("Content-Type", b"")
        self._body = response.body

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked for by copy and pickle, before there is anything to judge
            raise AttributeError(name)
        return getattr(self._page, name)

    @cached_property
    def _page(self) -> Page:
        charset = http_content_type_encoding(self._content_type.decode("latin-1"))
        try:
            return self._cleaner.scan(decode(self._body, charset) if charset else self._body)
        except PageError as error:
            raise PageError(f"{self._url}: {error}") from error


def _cleaner(settings: Settings) -> Cleaner:
    threshold = settings.get("DETECTOR_THRESHOLD")
    cleaner = Cleaner(
        drop=settings.getlist("DETECTOR_DROP", FLAGGED),
        model=settings.get("DETECTOR_MODEL"),
        threshold=None if threshold is None else float(threshold),  # settings of the command line are text
    )
    cleaner.detector()  # what is wrong with the settings shows before the crawl
    return cleaner


def _name(adapter: ItemAdapter) -> str:
    return str(adapter.get("url") or type(adapter.item).__name__)
