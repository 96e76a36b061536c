"""Every text of every block through the normalisation, before any line is broken: it changes lengths."""

from collections.abc import Iterable, Iterator

import msgspec

from receipt_templates.blocks import Block, Code, Pair, Text
from receipt_templates.normalise import normalise


def printable(blocks: Iterable[Block], encoding: str | None) -> Iterator[Block]:
    """Blocks whose texts the encoding holds; none keeps every letter. Data of codes stays as it is."""
    for block in blocks:
        match block:
            case Text():
                yield msgspec.structs.replace(block, text=normalise(block.text, encoding).text)
            case Pair():
                yield msgspec.structs.replace(
                    block, left=normalise(block.left, encoding).text, right=normalise(block.right, encoding).text
                )
            case Code():
                yield msgspec.structs.replace(block, fallback_text=normalise(block.fallback_text, encoding).text)
            case _:
                yield block
