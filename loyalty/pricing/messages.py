"""Which sentence, where, in which language, and who is heard first. Nothing of a sentence enters the digest.

A sentence may be heard only so often in a period: by each member, counted on the account wherever they shop, so that
two tills do not say it twice for long; or at each till, counted there alone. It counts once the sale is paid.
Source: engine.md capability 26; docs/programme.md "Promotions" and "The programme document".
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from loyalty.amounts import format_minor, format_units
from loyalty.document import Language
from loyalty.members import Use
from loyalty.moments import in_period
from loyalty.pricing.conditions import budget_left
from loyalty.pricing.effects import Effect
from loyalty.pricing.taking_off import left_of
from loyalty.pricing.when_conditions import may_still_hold
from loyalty.pricing.workings import Reason, Workings
from loyalty.programme.compiled import Compiled, Rule
from loyalty.programme.promotion import Message
from loyalty.programme.tracking import said_counter

_COMMA = ("pt-BR", "ru", "pl")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence for one place; `promotion` is empty for the programme's own."""

    place: str
    text: str
    promotion: str = ""


class Figures(NamedTuple):
    """What a sentence may name: plain decimals for money, whole points. No balance where none is known."""

    saved: str
    points: int
    short_of: str
    balance: int | None


class Heard(NamedTuple):
    """What is said of a basket, most important first, and what that adds to the member's counters and the till's."""

    said: tuple[Said, ...]
    own: tuple[Use, ...] = ()
    here: tuple[Use, ...] = ()


class _Turn(NamedTuple):
    """A sentence in its turn: its promotion, its place among that one's sentences, and what it may name."""

    promotion: str
    n: int
    message: Message
    figures: Figures


def speak(workings: Workings, effects: Sequence[Effect], language: Language | None) -> Heard:
    """Everything that is said of a basket.

    Args:
        effects: all that was done, which sentences may name in sum.
        language: none for the programme's own.
    """
    programme = workings.compiled.programme
    spoken = language or programme.language
    room = dict(programme.speaking.at_most)
    said: list[Said] = []
    own: list[Use] = []
    here: list[Use] = []
    for turn in (*_of_promotions(workings, effects), *_of_programme(workings, effects)):
        message = turn.message
        if room.get(message.place) == 0 or (turn.figures.balance is None and _names_balance(message)):
            continue
        if message.at_most is not None:
            use = _use_of(turn, workings)
            if use is None:
                continue
            (here if message.at_most.each == "till" else own).append(use)
        if message.place in room:
            room[message.place] -= 1
        tongue = next((one for one in (spoken, programme.language, *message.text) if message.text.get(one)), spoken)
        text = _filled(message.text[tongue], turn.figures, tongue)
        said.append(Said(place=message.place, text=text, promotion=turn.promotion))
    return Heard(tuple(said), tuple(own), tuple(here))


def counters_here(compiled: Compiled, on: date) -> list[str]:
    """The till's own counters that sentences look at on a day (store time)."""
    return [in_period(name, per, on) for name, per in compiled.said_here]


def short_of(reason: Reason, currency: str) -> str:
    """What a near miss is short of, as a plain decimal; empty where no figure would do."""
    if reason.short_of_minor:
        return format_minor(reason.short_of_minor, currency)
    return format_units(reason.short_of_milli) if reason.short_of_milli else ""


def _of_promotions(workings: Workings, effects: Iterable[Effect]) -> Iterator[_Turn]:
    currency = workings.compiled.programme.currency
    balance = _balance(workings)
    rules = _in_turn(_speaking(workings), workings)
    sums = _sums(effects, {rule.promotion.id for rule in rules}) if rules else {}
    for rule in rules:
        promotion = rule.promotion
        if rule.no in workings.acted:
            amount, points = sums[promotion.id]
            case, figures = "applied", Figures(format_minor(amount, currency), points, "", balance)
        else:
            near = short_of(workings.unmet[rule.no], currency)
            case, figures = "missed", Figures("", 0, near, balance)
        for n, message in enumerate(promotion.messages):
            if message.case in (case, "always"):
                yield _Turn(promotion.id, n, message, figures)


def _of_programme(workings: Workings, effects: Iterable[Effect]) -> Iterator[_Turn]:
    programme = workings.compiled.programme
    if not programme.messages:
        return
    saved = points = 0
    for effect in effects:
        saved += effect.amount_minor
        points += effect.points
    balance = _balance(workings)
    total = Figures(format_minor(saved, programme.currency), points, "", balance)
    for n, message in enumerate(programme.messages):
        if message.case != "missed":
            yield _Turn("", n, message, total)


def _balance(workings: Workings) -> int | None:
    """The member's; none without a card, and of one that this till does not know yet."""
    view = workings.view
    return None if view is None or view.account_id is None else view.balance_points


def _names_balance(message: Message) -> bool:
    # In any language: what is counted must not depend on the one that is spoken.
    return any("{balance}" in text for text in message.text.values())


def _sums(effects: Iterable[Effect], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Minor units off and points, by promotion."""
    sums = dict.fromkeys(names, (0, 0))
    for effect in effects:
        if effect.promotion in sums:
            amount, points = sums[effect.promotion]
            sums[effect.promotion] = (amount + effect.amount_minor, points + effect.points)
    return sums


def _speaking(workings: Workings) -> Iterator[Rule]:
    """Rules that applied or were just missed, and have something to say."""
    rules, speaking = workings.compiled.rules, workings.compiled.speaking
    if not speaking:
        return
    for no in speaking & workings.acted.keys():
        yield rules[no]
    for no in (speaking & workings.unmet.keys()) - workings.acted.keys():
        if _was_nearly_had(rules[no], workings):
            yield rules[no]


def _was_nearly_had(rule: Rule, workings: Workings) -> bool:
    """Whether more goods alone would have brought it: nobody is tempted with what they could not get."""
    reason = workings.unmet[rule.no]
    if not (reason.short_of_minor or reason.short_of_milli):
        return False
    if workings.view is None and rule.points and not (rule.money or rule.extras):
        return False
    return not _is_used_up(rule, workings) and may_still_hold(rule, workings)


def _is_used_up(rule: Rule, workings: Workings) -> bool:
    """Whether its budget or its caps leave nothing of all that it does."""
    budget = budget_left(rule, workings)
    if budget is not None and budget <= 0:
        return True
    if not rule.promotion.caps or rule.extras:
        return False
    units, amount, points = (left_of(rule, what, workings) for what in ("units", "amount", "points"))
    return not (rule.money and 0 not in (units, amount)) and not (rule.points and points != 0)


def _in_turn(rules: Iterable[Rule], workings: Workings) -> list[Rule]:
    """The store's own partner first, then partners as they are listed, then the others; as they run within that."""
    speaking, own = workings.compiled.programme.speaking, workings.place.partner_id

    def turn(rule: Rule) -> tuple[int, int]:
        partner = rule.promotion.funded_by or own
        if speaking.own_first and partner == own:
            return -1, rule.no
        listed = speaking.partners
        return (listed.index(partner) if partner in listed else len(listed)), rule.no

    return sorted(rules, key=turn)


def _use_of(turn: _Turn, workings: Workings) -> Use | None:
    """The use that saying it once more makes; none where it was heard often enough, or nobody knows how often."""
    rule = turn.message.at_most
    assert rule is not None
    counters = workings.shared if rule.each == "till" else workings.counters
    if counters is None:
        return None
    name = in_period(said_counter(turn.message, turn.promotion, turn.n), rule.per, workings.moment.on)
    return Use(name=name, amount=1) if counters.get(name, 0) < rule.times else None


def _filled(text: str, figures: Figures, language: str) -> str:
    """Only the four known placeholders are replaced, so a stray brace stays a brace."""
    if "{" not in text:
        return text
    for name in ("saved", "points", "short_of", "balance"):
        value = str(getattr(figures, name))
        if name in ("saved", "short_of") and language in _COMMA:
            value = value.replace(".", ",")
        text = text.replace("{" + name + "}", value)
    return text
