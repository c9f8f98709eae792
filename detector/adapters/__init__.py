"""The detector in the tools that people run: Scrapy, datatrove and Ray, a module and an extra each.

A tool is imported with the module that is named after it, never before.
"""
