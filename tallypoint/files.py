"""Files that a user names on the command line: read whole, with an error that says which and why."""

from pathlib import Path
from typing import TypeVar

import msgspec

from loyalty.trouble import Refusal

T = TypeVar("T")


class BadFile(Refusal):
    code = "file.unreadable"
    status = 400


class NotWritten(Refusal):
    code = "file.not_written"
    status = 400


class BadContent(Refusal):
    code = "file.malformed"
    status = 422


def read_text(path: Path) -> str:
    """The text of a file. Raises: BadFile."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        raise BadFile(f"{path} cannot be read: {_why(trouble)}. Name a readable text file.", path=str(path)) from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises: BadFile."""
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise BadFile(f"{path} cannot be read: {_why(trouble)}. Name a readable file.", path=str(path)) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file. Raises: NotWritten."""
    try:
        path.write_bytes(data)
    except OSError as trouble:
        raise NotWritten(
            f"{path} cannot be written: {_why(trouble)}. Name a file in a folder that you may write to.", path=str(path)
        ) from None


def read_json(path: Path, kind: type[T]) -> T:
    """A JSON file as a value of a type. Raises: BadFile, BadContent."""
    try:
        return msgspec.json.decode(read_text(path), type=kind)
    except msgspec.MsgspecError as trouble:
        raise BadContent(f"{path} does not say what is needed: {trouble}", path=str(path)) from None


def _why(trouble: OSError | UnicodeDecodeError) -> str:
    """Without the number and the path, which the sentence has already."""
    return str(getattr(trouble, "strerror", None) or trouble)
