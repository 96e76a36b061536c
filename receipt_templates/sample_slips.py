"""Slips to look at, as they ship: one file each, a view as JSON. `tallypoint receipts preview` prints them."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from loyalty.trouble import BadInput, Refusal
from receipt_templates.compose import AnyView


class BadView(BadInput):
    code = "receipts.bad_view"


class UnknownSample(Refusal):
    code = "receipts.unknown_sample"
    status = 422


def read_view(text: bytes) -> AnyView:
    """A view from its JSON; `slip` says which kind it is. Raises: BadView."""
    try:
        return msgspec.json.decode(text, type=AnyView)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeDecodeError) as trouble:
        raise BadView(f"This is no slip: {trouble}. Take a sample for a pattern.") from None


def samples() -> Mapping[str, AnyView]:
    """Every sample by its name."""
    files = sorted((Path(__file__).parent / "samples").glob("*.json"))
    return {path.stem: read_view(path.read_bytes()) for path in files}


def sample_named(name: str) -> AnyView:
    """One sample. Raises: UnknownSample."""
    held = samples()
    if name not in held:
        raise UnknownSample(f"There is no sample {name!r}; choose one of {', '.join(held)}.", sample=name)
    return held[name]
