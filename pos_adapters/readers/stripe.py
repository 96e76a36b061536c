"""Tracks as a stripe reader sends them, brought into one form: `%…?;…?`, as they stand on the card.

Source: ISO/IEC 7811-2 and -6 (characters, LRC); devices-and-receipts.md A4.
"""

import re

from pos_adapters.readers.profile import Profile

UNREAD = ";E?"  # a track that was not read, as most readers say it
_TRACK_WITH_LRC = re.compile(r"([%;+!])([^?]*\?)(.)", re.DOTALL)
_EXTECH_TRACK = re.compile(r"/([123])/([^\r\n]*)")
_EXTECH_ERROR = re.compile(r"\x1bE,[0-9]+,[^\r\n]*")
_LAST_SENTINEL = re.compile(r"(.*\?)[^?]?\s*", re.DOTALL)


def read_tracks(profile: Profile, text: str) -> str | None:
    """The tracks of one swipe without what the reader adds; None where an LRC is wrong.

    The payment check comes after this, on whatever is returned; of None the caller checks `text` itself.
    """
    if profile.stripe == "extech":
        text = _EXTECH_ERROR.sub(UNREAD, text)
        text = _EXTECH_TRACK.sub(_with_sentinels, text)
    elif profile.stripe == "insertion":
        text = text.removeprefix("\x1b")
        if not profile.lrc and (match := _LAST_SENTINEL.fullmatch(text)) is not None:
            text = match[1]
    return _without_lrc(text, sensor=profile.stripe == "insertion") if profile.lrc else text


def lrc_of(track: str) -> str:
    """The check character of a track from start to end sentinel, as a reader that sends it would.

    Track 1 holds 6-bit characters (value = ASCII - 32), the others 4-bit ones (ASCII - 48).
    """
    base, mask = (0x20, 0x3F) if track.startswith("%") else (0x30, 0x0F)
    value = 0
    for char in track.replace("!", ";", 1):  # a reader's own sign for track 3, whose sentinel is ; on the card
        value ^= (ord(char) - base) & mask
    return chr(value + base)


def _with_sentinels(match: re.Match[str]) -> str:
    data = match[2]
    if data[:1] in ("%", ";", "+", "!"):
        return data
    return f"{'%' if match[1] == '1' else ';'}{data}?"


def _without_lrc(text: str, *, sensor: bool) -> str | None:
    tracks, at = [], 0
    while match := _TRACK_WITH_LRC.match(text, at):
        start, rest, lrc = match.groups()
        # A track that was not read has no check character.
        if rest == "E?":
            tracks.append(start + rest)
            at = match.end() - 1
        elif lrc != lrc_of(start + rest):
            return None
        else:
            tracks.append(start + rest)
            at = match.end()
        while at < len(text) and text[at] in "\r\n":
            at += 1
    if text.endswith("E?") and text[at:] in ("%E?", ";E?", "+E?", "!E?"):
        tracks.append(text[at:])
        at = len(text)
    # What is left over is the state of an insertion reader's sensor; anywhere else the swipe is not whole.
    left = len(text) - at
    return "".join(tracks) if tracks and left <= (1 if sensor else 0) else None
