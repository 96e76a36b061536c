"""What the programme says about its members: which numbers cards get, what consent is asked for, late claims.

Part of the programme document, so its texts and versions are published, signed and kept like its rules.
Source: devices-and-receipts.md E "Opt-in"; fraud-privacy.md 1 and 3.
"""

from typing import Annotated, Literal

import msgspec

from loyalty.document import Document, Language, Word

Purpose = Literal["terms", "marketing", "profiling", "partners"]
Channel = Literal["none", "email", "sms", "phone", "post", "app"]


class ConsentAsked(Document, frozen=True):
    """One thing that is asked of a customer, by itself, unticked.

    Attributes:
        version: of the text, kept with each consent; another text gets another version.
        text: by language.
        double_opt_in: it counts only once the customer has confirmed it by code or link.
    """

    purpose: Purpose
    version: Annotated[str, msgspec.Meta(pattern="^[^:]{1,40}$")]
    text: dict[Language, Word]
    channel: Channel = "none"
    double_opt_in: bool = True

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("text: is empty; give the text that is asked in one language at least")
        if self.purpose == "marketing" and self.channel == "none":
            raise ValueError("channel: marketing is asked for each channel by itself; name one")

    @property
    def name(self) -> str:
        """`purpose:channel`, by which a consent is known."""
        return f"{self.purpose}:{self.channel}"

    def language_for(self, wanted: Language) -> Language:
        """The language that its text is shown in to whoever reads `wanted`: that, or the first that there is."""
        return wanted if wanted in self.text else next(iter(self.text))


class ClaimRules(Document, frozen=True):
    """Receipts without a card that are brought later.

    Attributes:
        within_days: a receipt may be claimed up to so many days after its business date.
        per_card_per_day: how many receipts one card may claim on a day.
    """

    within_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 14
    per_card_per_day: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2


class MemberRules(Document, frozen=True):
    """Attributes:
    numbers_of: prefix of the card range that tills give numbers of; "" is the first range of the programme.
    numbers_at_once: how many numbers a till is granted at a time.
    """

    numbers_of: str = ""
    numbers_at_once: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200
    consents: tuple[ConsentAsked, ...] = ()
    claims: ClaimRules | None = ClaimRules()

    def __post_init__(self) -> None:
        names = [one.name for one in self.consents]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"consents: {twice[0]} is asked twice; ask for each purpose and channel once")

    def consent(self, purpose: str, channel: str) -> ConsentAsked | None:
        """What is asked under a purpose and channel."""
        return next((one for one in self.consents if (one.purpose, one.channel) == (purpose, channel)), None)
