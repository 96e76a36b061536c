"""Which sentence, where, in which language. Figures are filled in; nothing of them enters the digest."""

from collections.abc import Iterable

import msgspec

from loyalty.programme import Language, Message

_COMMA = ("pt-BR", "ru", "pl")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence for one place; `promotion` is empty for the programme's own."""

    place: str
    text: str
    promotion: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a sentence may name: plain decimals for money, whole points."""

    saved: str = ""
    points: int = 0
    short_of: str = ""
    balance: int = 0


def choose_messages(
    messages: Iterable[Message],
    case: str,
    figures: Figures,
    language: Language,
    fallback: Language,
    promotion: str = "",
) -> tuple[Said, ...]:
    """The sentences of one promotion (or of the programme) for a case, in the asked language or the programme's own.

    Args:
        case: `applied` or `missed`; sentences marked `always` are said in both.
    """
    said = []
    for message in messages:
        if message.case not in (case, "always"):
            continue
        spoken = next((one for one in (language, fallback, *message.text) if message.text.get(one)), fallback)
        text = _filled(message.text.get(spoken, ""), figures, spoken)
        said.append(Said(place=message.place, text=text, promotion=promotion))
    return tuple(said)


def _filled(text: str, figures: Figures, language: Language) -> str:
    """Only the four known placeholders are replaced, so a stray brace stays a brace."""
    for name in ("saved", "points", "short_of", "balance"):
        value = str(getattr(figures, name))
        if name in ("saved", "short_of") and language in _COMMA:
            value = value.replace(".", ",")
        text = text.replace("{" + name + "}", value)
    return text
