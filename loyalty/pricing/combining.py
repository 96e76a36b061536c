"""Who may join what has applied already: exclusive promotions, and groups that do not combine.

Source: engine.md capability 8; docs/programme.md "What combines".
"""

from copy import copy

from loyalty.pricing.workings import Reason
from loyalty.programme.compiled import Compiled, Rule


class Gate:
    """What has applied so far, and whom that keeps out.

    Attributes:
        exclusive: the first exclusive promotion that applied; `ordinary`: the first that is not exclusive.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._groups = compiled.groups
        self._applied: dict[str, str] = {}
        self.exclusive = ""
        self.ordinary = ""

    def keeps_out(self, rule: Rule) -> Reason | None:
        """Why a promotion may not join any more, none when it may."""
        promotion = rule.promotion
        other = self.ordinary if promotion.exclusive else self.exclusive
        if other:
            return apart("exclusive", other)
        if promotion.group and self._applied:
            for group, first in self._applied.items():
                if group != promotion.group and not self._combine(group, promotion.group):
                    return apart("group", first)
        return None

    def let_in(self, rule: Rule) -> None:
        """A promotion has applied."""
        if rule.promotion.exclusive:
            self.exclusive = self.exclusive or rule.promotion.id
        else:
            self.ordinary = self.ordinary or rule.promotion.id
        self.join(rule)

    def join(self, rule: Rule) -> None:
        """A promotion stands beside those that have applied, as far as groups go."""
        if rule.promotion.group:
            self._applied.setdefault(rule.promotion.group, rule.promotion.id)

    def copy(self) -> "Gate":
        """The same, to try something on."""
        twin = copy(self)
        twin._applied = dict(self._applied)
        return twin

    def for_points(self, exclusive_over: str) -> "Gate":
        """Whom what took money off keeps out of what grants points."""
        twin = self.copy()
        twin.ordinary = ""
        twin.exclusive = self.exclusive if exclusive_over == "everything" else ""
        return twin

    def _combine(self, one: str, other: str) -> bool:
        with_one, with_other = self._groups[one].with_, self._groups[other].with_
        if with_one is None and with_other is None:
            return True
        return other in (with_one or ()) or one in (with_other or ())


def apart(condition: str, other: str) -> Reason:
    """A promotion that another one keeps out."""
    return Reason(condition=condition, found=other, say=f"Does not combine with {other}.")
