"""Lines of CSV that a spreadsheet reads as data and never as a formula."""

import csv
import io
from collections.abc import Iterable
from typing import Any

# A cell that begins like this is run as a formula by common spreadsheets.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_line(cells: Iterable[Any], *, separator: str = ",") -> str:
    """One line with its end; whole numbers stay numbers, text that could be a formula gets an apostrophe."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return text.getvalue()


class Figure(str):
    """Text that we made from a number, such as `-12.50`; it is written as it is."""

    __slots__ = ()


def _cell(cell: Any) -> Any:
    if isinstance(cell, str) and not isinstance(cell, Figure) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell
