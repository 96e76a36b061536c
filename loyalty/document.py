"""The words that every part of the programme document is made of, and what every part is.

Bounds stand in the types, so whatever can be read can be quoted under. Source: engine.md, "A shape to start from".
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

PLACES = ("cashier", "customer", "kiosk", "receipt")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Language = Literal["en", "pt-BR", "ru", "pl"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

Word = Annotated[str, msgspec.Meta(min_length=1)]
Path = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1)]
# A counter is named promo:id:period, so the colon is taken.
PromotionId = Annotated[str, msgspec.Meta(pattern="^[^:]+$")]
Percent = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
TimeOfDay = Annotated[str, msgspec.Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every part of the document is: immutable, strict about its words, silent about defaults."""
