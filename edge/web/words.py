"""The words of the screens, in four languages: files that pages fetch, read here for what is in a page at once."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "pt-BR", "ru", "pl")
FOLDER = Path(__file__).parent / "static" / "words"


@cache
def words_of(language: str) -> dict[str, Any]:
    """All words of a language, as its file has them."""
    words: dict[str, Any] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return words


def teller(language: str) -> Callable[[str], str]:
    """A function from a dotted name to its words. Raises: KeyError for a name that no file has."""
    words = words_of(language)

    def word(name: str) -> str:
        found: Any = words
        for part in name.split("."):
            found = found[part]
        return str(found)

    return word
