"""Which sentences a receipt has room for: the most important first, a long one shortened, a legal one never.

A receipt whose foot is longer than its goods is not read. Source: devices-and-receipts.md D5, "Pagination", and E.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from receipt_templates.blocks import Block, Feed, Note, Text
from receipt_templates.columns import wrapped

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of paper: `one` for a sentence, `all` for all of them together, each with its empty line."""

    one: int = 6
    all: int = 18


CAPS = Caps()


def fit(blocks: Iterable[Block], columns: int, caps: Caps = CAPS) -> tuple[Block, ...]:
    """Blocks with the notes that fit, as texts, each where it stood.

    Args:
        columns: of the paper.
    Returns:
        No note any more. Rank 0 and legal notes are all there and use up room first; then by rank, and as they stand
        within a rank, each that still fits.
    """
    held = tuple(blocks)
    if not any(isinstance(block, Note) for block in held):
        return held
    shown = _chosen(held, columns, caps)
    fitted: list[Block] = []
    for at, block in enumerate(held):
        if not isinstance(block, Note):
            fitted.append(block)
        elif at in shown:
            fitted += [Feed(), Text(text=shown[at], align="center")]
    return tuple(fitted)


def shortened(text: str, columns: int, lines: int) -> str:
    """A text of at most so many lines: as it is, whole sentences of it, or its first words and three dots."""
    if len(wrapped(text, columns)) <= lines:
        return text
    sentences = _SENTENCE.split(text.strip())
    for count in range(len(sentences) - 1, 0, -1):
        if len(wrapped(part := " ".join(sentences[:count]), columns)) <= lines:
            return part
    words = text.split()
    for count in range(len(words) - 1, 0, -1):
        if len(wrapped(part := " ".join(words[:count]) + "...", columns)) <= lines:
            return part
    return "\n".join(wrapped(text, columns)[:lines])


def _chosen(blocks: Sequence[Block], columns: int, caps: Caps) -> dict[int, str]:
    """Texts of the notes that are printed, by their place."""
    notes = {at: block for at, block in enumerate(blocks) if isinstance(block, Note) and block.text.strip()}
    texts = {at: note.text if note.legal else shortened(note.text, columns, caps.one) for at, note in notes.items()}
    lines = {at: 1 + len(wrapped(text, columns, even=True)) for at, text in texts.items()}
    bound = [at for at, note in notes.items() if note.legal or note.rank == 0]
    room = caps.all - sum(lines[at] for at in bound)
    shown = set(bound)
    for at in sorted(notes.keys() - shown, key=lambda at: (notes[at].rank, at)):
        if lines[at] <= room:
            shown.add(at)
            room -= lines[at]
    return {at: texts[at] for at in shown}
