"""Which sentences a receipt has room for: the most important first, a long one shortened; one that must stand never.

A receipt whose foot is longer than its goods is not read. Source: devices-and-receipts.md D5, "Pagination", and E.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from receipt_templates.blocks import Block, Feed, Note, Text
from receipt_templates.columns import wrapped

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of paper: `one` for a sentence, `all` for all of them together, each with its empty line."""

    one: int = 6
    all: int = 18


CAPS = Caps()
LEAST_LINES = 2  # of any note, with the empty one


class FittedNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note that is printed: its text, shortened where it had to be, and the lines that it takes."""

    text: str
    lines: tuple[str, ...]


def fit(blocks: Iterable[Block], columns: int, caps: Caps = CAPS) -> tuple[Block, ...]:
    """Blocks with the notes that fit, as texts, each where it stood.

    Args:
        columns: of the paper.
    Returns:
        No note any more; which of them are left, `notes_that_fit` says.
    """
    held = tuple(blocks)
    shown = notes_that_fit(held, columns, caps)
    fitted: list[Block] = []
    for at, block in enumerate(held):
        if not isinstance(block, Note):
            fitted.append(block)
        elif at in shown:
            fitted += [Feed(), Text(text=shown[at].text, align="center")]
    return tuple(fitted)


def notes_that_fit(blocks: Sequence[Block], columns: int, caps: Caps = CAPS) -> dict[int, FittedNote]:
    """The notes that are printed, by their place among the blocks.

    Returns:
        Rank 0 and legal notes are all there and use up room first; then by rank, and as they stand within a rank, each
        that still fits.
    """
    notes = {at: block for at, block in enumerate(blocks) if isinstance(block, Note) and block.text.strip()}
    bound = {at: _standing(note, columns, caps) for at, note in notes.items() if note.legal or note.rank == 0}
    room = caps.all - sum(1 + len(note.lines) for note in bound.values())
    shown = bound.copy()
    for at in sorted(notes.keys() - bound.keys(), key=lambda at: (notes[at].rank, at)):
        if room < LEAST_LINES:
            break
        note = _fitted(notes[at], columns, caps)
        if 1 + len(note.lines) <= room:
            shown[at] = note
            room -= 1 + len(note.lines)
    return shown


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


@lru_cache(maxsize=64)
def _standing(note: Note, columns: int, caps: Caps) -> FittedNote:
    """As `_fitted`, of what stands on one slip after the other: words of ours, and the shop's legal text."""
    return _fitted(note, columns, caps)


def _fitted(note: Note, columns: int, caps: Caps) -> FittedNote:
    text = note.text if note.legal or note.rank == 0 else shortened(note.text, columns, caps.one)
    return FittedNote(text=text, lines=tuple(wrapped(text, columns, even=True)))
