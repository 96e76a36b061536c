"""What whoever helps needs to see of an installation, as one ZIP file, without anything of a person or a secret in it.

Only what is named here goes in: nothing is copied from a table but how many rows it has. Log lines and sentences are
scrubbed besides, for what a library writes is not ours to know.
"""

import json
import os
import platform
import re
import sqlite3
import sys
import zipfile
from collections import deque
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from loyalty.trouble import Refusal

LOG_LINES = 2_000
# Longest first: an enrolment code or a key must not be half eaten by a rule for shorter things.
_SCRUBBED = (
    (re.compile(r"://[^/\s@]+@"), "://<login>@"),
    (re.compile(r"(?i)\bauthorization[:=\s]+(?:\w+\s+)?\S+"), "authorization <secret>"),
    (re.compile(r"(?i)\b(bearer|password|passphrase|token|secret)\b(?:\s*[:=]\s*|\s+)\S+"), r"\1 <secret>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b"), "<code>"),
    (re.compile(r"\b[0-9a-fA-F]{16,}\b"), "<hex>"),
    (re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}"), "<long>"),
    (re.compile(r"(?<![\w.-])(?!\d{4}-\d\d-\d\d)\+?\d(?:[ -]?\d){7,}(?!\w)"), "<number>"),
)


class BundleExists(Refusal):
    code = "bundle.exists"


class BundleNowhere(Refusal):
    code = "bundle.nowhere"


def scrub(text: str) -> str:
    """A text without logins, secrets, addresses, keys, tokens, and numbers long enough to be a card or a telephone."""
    for pattern, instead in _SCRUBBED:
        text = pattern.sub(instead, text)
    return text


def write_bundle(path: Path, parts: Mapping[str, Any]) -> None:
    """A new ZIP file, for its owner alone: text as it is, anything else as JSON whose sentences are scrubbed.

    Raises:
        BundleExists: there is a file already. BundleNowhere: none can be made there.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BundleExists(f"{path} is there already. Name another file.") from None
    except OSError as trouble:
        raise BundleNowhere(f"{path} cannot be written: {trouble.strerror}. Name another file.") from None
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, part in parts.items():
                bundle.writestr(name, part if isinstance(part, str) else json.dumps(_scrubbed(part), indent=2))
    except OSError as trouble:
        path.unlink()
        raise BundleNowhere(f"{path} cannot be written: {trouble.strerror}. Name a file on another disk.") from None


def _scrubbed(part: Any) -> Any:
    """The same data with every sentence scrubbed; its names and numbers are our own."""
    if isinstance(part, Mapping):
        return {str(name): _scrubbed(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_scrubbed(value) for value in part]
    return scrub(part) if isinstance(part, str) else part


def versions(ours: str) -> dict[str, Any]:
    """Of us, of Python, of the system and of the packages that are installed."""
    packages = {str(one.metadata["Name"]): one.version for one in distributions()}
    return {
        "tallypoint": ours,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "packages": dict(sorted(packages.items())),
    }


def log_tail(folder: str, most: int = LOG_LINES) -> str:
    """The last lines of each log file in a folder, scrubbed."""
    if not folder or not Path(folder).is_dir():
        return "No log_dir is set; the service's words are in the system's journal.\n"
    parts: list[str] = []
    for path in sorted(Path(folder).glob("*.log")):
        with path.open("r", encoding="utf-8", errors="replace") as file:
            last: Iterable[str] = deque(file, maxlen=most)
        parts.append(f"== {path.name}\n{''.join(last)}")
    return scrub("\n".join(parts))


def without_secrets(settings: Any, shown: frozenset[str]) -> dict[str, Any]:
    """Settings by name: those in `shown` as they are, of others only whether they are set."""
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return {name: value if name in shown else ("<set>" if value else "") for name, value in values.items()}
