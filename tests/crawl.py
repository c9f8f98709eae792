"""A crawl in a process of its own, as Scrapy's reactor runs once in each: crawl.py ADDRESS NAMES SETTINGS OUTPUT.

Writes what the spider saw, its items and Scrapy's stats as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import attrs
import scrapy
from itemadapter import ItemAdapter
from scrapy.crawler import CrawlerProcess

from detector import PageError


@dataclasses.dataclass
class DataclassItem:
    url: str
    html: str
    text: str | None = None
    labels: list | None = None


@attrs.define
class AttrsItem:
    url: str
    html: str
    text: str | None = None
    labels: list | None = None


class FieldsItem(scrapy.Item):
    url = scrapy.Field()
    html = scrapy.Field()
    text = scrapy.Field()
    labels = scrapy.Field()


class NarrowItem(scrapy.Item):
    url = scrapy.Field()
    html = scrapy.Field()


class Spider(scrapy.Spider):
    name = "pages"

    def __init__(self, urls: list[str], seen: dict[str, object]) -> None:
        super().__init__()
        self.start_urls = urls
        self.seen = seen

    def parse(self, response):
        name = response.url.rsplit("/", 1)[1]
        page = response.meta["detector"]
        try:
            self.seen[name] = [[block.label, block.score] for block in page.blocks]
        except PageError as error:
            self.seen[name] = str(error)
        if "text" not in response.headers["Content-Type"].decode():
            return
        for make in (dict, DataclassItem, AttrsItem, FieldsItem, NarrowItem):
            yield make(url=response.url, html=response.text)
        yield {"url": response.url, "title": "an item without a page"}


class Collected:
    """An item pipeline behind the detector's."""

    items: list[dict[str, object]] = []  # noqa: RUF012

    def process_item(self, item, spider=None):
        self.items.append({"class": type(item).__name__, **ItemAdapter(item).asdict()})
        return item


def main(address: str, names: str, settings: str, output: str) -> None:
    seen: dict[str, object] = {}
    process = CrawlerProcess(
        {
            "ITEM_PIPELINES": {"detector.adapters.scrapy.DetectorPipeline": 300, Collected: 900},
            "DOWNLOADER_MIDDLEWARES": {"detector.adapters.scrapy.DetectorMiddleware": 100},
            "TELNETCONSOLE_ENABLED": False,
            "LOG_LEVEL": "WARNING",
            **json.loads(settings),
        }
    )
    crawler = process.create_crawler(Spider)
    process.crawl(crawler, urls=[f"{address}/{name}" for name in names.split(",")], seen=seen)
    process.start()
    stats = {key: value for key, value in crawler.stats.get_stats().items() if key.startswith("detector/")}
    Path(output).write_text(json.dumps({"seen": seen, "items": Collected.items, "stats": stats}))


if __name__ == "__main__":
    main(*sys.argv[1:])
