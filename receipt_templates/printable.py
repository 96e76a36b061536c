"""Every text of every block through the normalisation, before any line is broken: it changes lengths."""

from collections.abc import Iterable, Iterator

import msgspec

from receipt_templates.blocks import Block, Code, Note, Pair, Text
from receipt_templates.normalise import Printable, normalise


class Printing(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks whose texts a page holds; how many letters became others for it, and how many of them a bare `?`."""

    blocks: tuple[Block, ...]
    replaced: int
    lost: int


def printing(blocks: Iterable[Block], encoding: str | None) -> Printing:
    """Blocks as a page can hold them.

    Args:
        encoding: Python's name of the page; none keeps every letter. Data of codes stays as it is.
    """
    kept: list[Block] = []
    replaced = lost = 0

    def plain(text: str) -> str:
        nonlocal replaced, lost
        if encoding is None and is_plain(text):
            return text
        seen: Printable = normalise(text, encoding)
        replaced, lost = replaced + seen.replaced, lost + seen.lost
        return seen.text

    for block in blocks:
        match block:
            case Pair() if encoding is None and is_plain(block.left) and is_plain(block.right):
                kept.append(block)  # most of a receipt
            case Pair():
                kept.append(msgspec.structs.replace(block, left=plain(block.left), right=plain(block.right)))
            case Text() | Note():
                text = plain(block.text)
                kept.append(block if text is block.text else msgspec.structs.replace(block, text=text))
            case Code():
                text = plain(block.fallback_text)
                as_it_is = text is block.fallback_text
                kept.append(block if as_it_is else msgspec.structs.replace(block, fallback_text=text))
            case _:
                kept.append(block)
    return Printing(blocks=tuple(kept), replaced=replaced, lost=lost)


def is_plain(text: str) -> bool:
    """Whether a text stands on every page as it is."""
    return text.isascii() and text.isprintable()


def printable(blocks: Iterable[Block], encoding: str | None) -> tuple[Block, ...]:
    """The blocks of `printing`."""
    return printing(blocks, encoding).blocks


def letters_of(blocks: Iterable[Block]) -> Iterator[str]:
    """Every text that blocks print."""
    for block in blocks:
        match block:
            case Text() | Note():
                yield from block.text
            case Pair():
                yield from block.left
                yield from block.right
            case Code():
                yield from block.fallback_text
