"""Profiles that are shipped, one YAML file a kind of reader, and those of the shop's own; settings overrule fields."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pos_adapters.readers.profile import BadReaderProfile, Profile

FOLDER = Path(__file__).parent / "profiles"
DEFAULT = "generic"


def shipped_names() -> tuple[str, ...]:
    """The names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def make_profile(said: Mapping[str, Any]) -> Profile:
    """A reader out of its settings.

    Args:
        said: `profile` names a shipped profile or a YAML file (`generic` without it); all else are fields of
            `Profile`, and overrule what that says. Without a `name` the profile's is taken.
    Raises:
        BadReaderProfile: with what to write instead.
    """
    fields = dict(said)
    named = str(fields.pop("profile", DEFAULT))
    path = FOLDER / f"{named}.yaml" if named in shipped_names() else Path(named)
    values = {"name": path.stem, "port": "", **_read(path, named), **fields}
    try:
        # Not strict, so that what an environment variable says may be a number, too.
        return msgspec.convert(values, Profile, strict=False)
    except msgspec.ValidationError as trouble:
        raise BadReaderProfile(
            f"The reader {values['name']} cannot be set up: {trouble}. docs/readers.md lists the fields.",
            profile=named,
        ) from None


def _read(path: Path, named: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError:
        raise BadReaderProfile(
            f"There is no reader profile {named}. Name a YAML file, or one of: {', '.join(shipped_names())}.",
            profile=named,
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as trouble:
        raise BadReaderProfile(f"The reader profile {named} is not YAML: {trouble}", profile=named) from None
    if not isinstance(values, dict):
        raise BadReaderProfile(f"The reader profile {named} must hold names and values, such as baud: 9600.")
    return values
