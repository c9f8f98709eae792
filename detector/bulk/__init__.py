"""Many pages: where they come from, the processes that judge them, and what is written.

``sources`` finds pages in files, folders, WARC, JSONL and Parquet; ``tasks`` says what is done with a page; ``judge``
does it, in several processes by ``workers``; ``run`` is the way from the first to what is written.
"""
