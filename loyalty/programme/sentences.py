"""Messages of a programme that come out wrong, or are never heard."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from loyalty.programme.doubts import Doubt
from loyalty.programme.programme import Programme
from loyalty.programme.promotion import Condition, Message, PeriodSpendIs, Promotion, QuantityIs, SpendIs
from loyalty.programme.words import Path

PLACEHOLDERS = ("saved", "points", "short_of", "balance")
_BRACED = re.compile(r"\{([^{}]*)\}")
# What is known when a promotion was missed, and what when it applied; `always` may be said in both cases.
_KNOWN = {"missed": ("short_of", "balance"), "applied": ("saved", "points", "balance"), "always": PLACEHOLDERS}


def doubts_about_sentences(programme: Programme) -> Iterator[Doubt]:
    """Everything doubtful in what a programme says, promotions first."""
    spoken = _languages(programme)
    for i, promotion in enumerate(programme.promotions):
        for n, message in enumerate(promotion.messages):
            path: Path = ("promotions", i, "messages", n)
            yield from _message(path, message, programme, spoken, _KNOWN[message.case])
            if message.case == "missed":
                yield from _missed((*path, "case"), promotion)
    for n, message in enumerate(programme.messages):
        yield from _message(("messages", n), message, programme, spoken, _KNOWN["applied"])
        if message.case == "missed":
            say = "Only a promotion can be missed; move this message to one, or take the case out."
            yield Doubt(path=("messages", n, "case"), rule="never_said", say=say)


def _missed(path: Path, promotion: Promotion) -> Iterator[Doubt]:
    """A promotion is just missed when a figure of the basket falls short of it."""
    if not any(_can_fall_short(condition) for condition in promotion.when):
        say = (
            "Nothing can be just missed where no condition under `when` asks for a least spend or quantity;"
            " add one, or take the case out."
        )
        yield Doubt(path=path, rule="never_said", say=say)


def _can_fall_short(condition: Condition) -> bool:
    if isinstance(condition, SpendIs):
        return (condition.at_least_minor, condition.more_than_minor, condition.equal_minor) != (None, None, None)
    if isinstance(condition, PeriodSpendIs):
        return condition.this_receipt and condition.at_least_minor is not None
    return isinstance(condition, QuantityIs) and condition.at_least_milli is not None


def _message(
    path: Path, message: Message, programme: Programme, spoken: tuple[str, ...], known: tuple[str, ...]
) -> Iterator[Doubt]:
    for language, text in message.text.items():
        for name in _BRACED.findall(text):
            if name not in PLACEHOLDERS:
                near = get_close_matches(name, PLACEHOLDERS, 1, 0.5)
                instead = f"did you mean {{{near[0]}}}" if near else f"known are {', '.join(PLACEHOLDERS)}"
                say = f"{{{name}}} would be printed as it stands; {instead}."
                yield Doubt(path=(*path, "text", language), rule="unknown_placeholder", say=say)
            elif name not in known:
                say = f"{{{name}}} says nothing in this case; known here are {', '.join(known)}."
                yield Doubt(path=(*path, "text", language), rule="empty_placeholder", say=say)
    missing = [language for language in spoken if language not in message.text]
    if missing:
        say = f"There is no text in {', '.join(missing)}; add it, or those members read another language."
        yield Doubt(path=(*path, "text"), rule="language_missing", say=say)
    if programme.speaking.at_most.get(message.place) == 0:
        say = f"Nothing is said to the {message.place}, for speaking allows 0 sentences there; raise at_most."
        yield Doubt(path=(*path, "place"), rule="never_said", say=say)


def _languages(programme: Programme) -> tuple[str, ...]:
    """The programme's own language, then the others that any of its messages is written in."""
    messages = [*programme.messages, *(one for promotion in programme.promotions for one in promotion.messages)]
    others = {str(language) for message in messages for language in message.text} - {programme.language}
    return (programme.language, *sorted(others))
