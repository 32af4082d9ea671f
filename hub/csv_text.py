"""CSV that people open in a spreadsheet: RFC 4180, and no cell of it is ever a formula."""

import csv
import io
from collections.abc import Iterable
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(value: Any) -> str:
    """A value as text. What a spreadsheet would take for a formula is quoted by an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def csv_text(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table with its head."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([safe_cell(name) for name in head])
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue()
