"""Profiles that are shipped, one YAML file a kind of reader, and those of the shop's own; settings overrule fields."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

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
            f"The reader {values['name']} cannot be set up: {trouble}. {_may_be(str(trouble))}", profile=named
        ) from None


def _may_be(trouble: str) -> str:
    """What a field takes, where it takes one of a few; the fields, where there is no such."""
    if "unknown field" in trouble:
        return f"The fields are: {', '.join(Profile.__struct_fields__)}."
    found = re.search(r"`\$\.(\w+)`", trouble)
    kind = get_type_hints(Profile)[found[1]] if found else None
    if found and get_origin(kind) is Literal:
        return f"{found[1]} is one of: {', '.join(map(str, get_args(kind)))}."
    return "docs/readers.md says what the fields take."


def _no_such(named: str) -> str:
    if Path(named).suffix:
        return f"There is no file {named} that can be read. Name one of YAML, or a profile of `edge decode --list`."
    near = get_close_matches(named.replace("_", "-"), shipped_names(), n=3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no reader profile {named}.{meant} `edge decode --list` shows them; or name a YAML file."


def _read(path: Path, named: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError:
        raise BadReaderProfile(_no_such(named), profile=named) from None
    except (yaml.YAMLError, UnicodeDecodeError) as trouble:
        raise BadReaderProfile(f"The reader profile {named} is not YAML: {trouble}", profile=named) from None
    if not isinstance(values, dict):
        raise BadReaderProfile(f"The reader profile {named} must hold names and values, such as baud: 9600.")
    return values
