"""Explained images as a folder: pictures, figures, a page."""

from hfcls.explain.album.choice import choose_methods
from hfcls.explain.album.fill import SLOW_REPEATS, Filler, Plan
from hfcls.explain.album.page import TITLES, Worth, format_interval, judge, save_page
from hfcls.explain.album.records import COLUMNS, FILE, Album, ImageRecord, MapRecord, table_rows
from hfcls.explain.album.text import describe, problems, why_nothing

__all__ = [
    "COLUMNS",
    "FILE",
    "SLOW_REPEATS",
    "TITLES",
    "Album",
    "Filler",
    "ImageRecord",
    "MapRecord",
    "Plan",
    "Worth",
    "choose_methods",
    "describe",
    "format_interval",
    "judge",
    "problems",
    "save_page",
    "table_rows",
    "why_nothing",
]
