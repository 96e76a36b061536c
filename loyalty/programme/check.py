"""Mistakes in a programme document, by line, each with its remedy.

An error is what `read_programme` refuses, a warning what it reads and nobody can have meant. All errors are told at
once: what cannot be read is taken out, and the rest is read again.
"""

import re
from typing import Any, Literal

import msgspec
import yaml

from loyalty.cards.cards import CardRules
from loyalty.programme.conflicts import doubts_about_conflicts
from loyalty.programme.doubts import doubts_about_rules
from loyalty.programme.idle import doubts_about_effect
from loyalty.programme.programme import Programme
from loyalty.programme.remedies import Mistake, remedy_for
from loyalty.programme.riddles import doubts_about_sense
from loyalty.programme.sentences import doubts_about_sentences
from loyalty.programme.sheet import Place, Sheet
from loyalty.programme.text import BadProgramme, line_of
from loyalty.programme.words import Path, choices_at, keys_at
from loyalty.trouble import Refusal

MOST_ERRORS = 100
DOUBTS = (
    doubts_about_rules, doubts_about_effect, doubts_about_conflicts, doubts_about_sense, doubts_about_sentences,
)  # fmt: skip

_TOLD = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
# What a rule of the document's own says: `to_on: lies before from_on; ...`.
_OWN = re.compile(r"(?P<path>\w+(?:\[\d+\]|\.\w+)*): (?P<say>.*)", re.DOTALL)
_NAMES_NOTHING = re.compile(r".* is not among the (\w+); .*", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_BOUND = re.compile(r"Expected `int` (<=|>=) (-?\d+)")
_NEEDED = {"id": "unnamed", "currency": "EUR"}  # stand in at the top, so that the rest can be read

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake: its line from 1, its path from `$`, which rule, and what to do about it."""

    line: int
    path: str
    rule: str
    say: str
    severity: Severity = "error"


def check_programme(text: str) -> tuple[Finding, ...]:
    """Everything that is wrong or doubtful in a programme, by line.

    Args:
        text: YAML or JSON, as it stands in the file.
    Returns:
        Findings sorted by line: errors, or else warnings; without an error `read_programme` takes the text.
    """
    try:
        sheet = Sheet(text)
    except BadProgramme as trouble:
        return (Finding(line=1, path="$", rule="twice", say=trouble.say),)
    except (yaml.YAMLError, ValueError, RecursionError) as trouble:
        why = getattr(trouble, "problem", None) or "it cannot be read"
        say = f"This is neither YAML nor JSON: {why}. Mend it first."
        return (Finding(line=line_of(trouble), path="$", rule="syntax", say=say),)
    check = _Check(sheet)
    programme = check.read()
    if programme is not None and not check.findings:
        check.doubt(programme)
    return tuple(sorted(check.findings, key=lambda finding: (finding.line, finding.path)))


def _finding(place: Place, rule: str, say: str, severity: Severity = "error") -> Finding:
    return Finding(line=place.line, path=place.path, rule=rule, say=say, severity=severity)


class _Check:
    """What was found in one document so far."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.findings = [
            _finding(place, "twice", f"{word} stands here twice; keep one.") for place, word in sheet.doubled
        ]

    def read(self) -> Programme | None:
        """The programme without what is wrong; none where nothing of it can be read."""
        while (path := self.sheet.half_character()) is not None:
            self._tell(path, "half_character", "This holds half a character (a lone surrogate); type the text again.")
            if not self._take_out(path):
                return None
        while len(self.findings) < MOST_ERRORS:
            try:
                return msgspec.convert(self.sheet.value, Programme)
            except msgspec.ValidationError as trouble:
                if not self._mistake(str(trouble)):
                    return None
            except Refusal as trouble:
                path = self._first_bad_range()
                self._tell(path, trouble.code, trouble.say)
                self._take_out(path)
            except RecursionError:
                self._tell((), "syntax", "This document holds itself; write the part out instead of naming it.")
                return None
        return None

    def doubt(self, programme: Programme) -> None:
        """Note what the programme says and hardly means."""
        for place, written, read in self.sheet.odd_numbers():
            say = f"YAML reads {written} as {read}; write the number that is meant, without leading zeros or colons."
            self.findings.append(_finding(place, "read_otherwise", say, "warning"))
        for doubt in (doubt for doubts in DOUBTS for doubt in doubts(programme)):
            self.findings.append(_finding(self.sheet.place_of(doubt.path), doubt.rule, doubt.say, "warning"))

    def _tell(self, path: Path, rule: str, say: str) -> None:
        self.findings.append(_finding(self.sheet.place_of(path), rule, say))

    def _take_out(self, path: Path) -> bool:
        """Remove what is wrong; false when that is the whole document."""
        if path:
            self.sheet.take_out(path)
            return True
        document = self.sheet.value
        if isinstance(document, dict) and not _NEEDED.keys() <= document.keys():
            self.sheet.value = _NEEDED | document
            return True
        return False

    def _mistake(self, told: str) -> bool:
        """Note one error of the reader and remove its cause; false when the cause is the whole document."""
        match = _TOLD.fullmatch(told)
        assert match is not None
        what, named = match["what"], match["path"] or "$"
        path = _steps(named)
        if own := _OWN.fullmatch(what):
            return self._own_rule(path, _steps("." + own["path"]), own["say"])
        if self.sheet.is_cut(path) and (_MISSING.fullmatch(what) or "of length" in what):
            return self._take_out(path)  # only because a part of it is wrong, which has been told
        path = self._closer(path, what, key=bool(match["key"]), inside=named.endswith("[...]"))
        rule, say = remedy_for(self._about(what, path, of_key=bool(match["key"])))
        self._tell(path, rule, say)
        return self._take_out(path)

    def _own_rule(self, path: Path, below: Path, say: str) -> bool:
        """A rule of the document's own was broken by what stands at `below`, or by nothing standing there."""
        nothing = _NAMES_NOTHING.fullmatch(say)
        stands = self.sheet.value_at((*path, *below)) is not None
        broken = (*path, *below) if stands else path
        # What is missing, or what a name meant, may have been taken out because of a mistake of its own.
        followed = self.sheet.has_lost(nothing[1]) if nothing else not stands and self.sheet.is_cut(path)
        if not followed:
            name = next(step for step in reversed(below) if isinstance(step, str))
            self._tell(broken, "names_nothing" if nothing else "impossible", f"{name}: {say}.")
        return self._take_out(broken)

    def _about(self, what: str, path: Path, *, of_key: bool) -> Mistake:
        document, value = self.sheet.value, self.sheet.value_at(path)
        written = self.sheet.key_at(path) if of_key else self.sheet.written_at(path)
        if _UNKNOWN.fullmatch(what):
            words = keys_at(document, path[:-1])
        elif missing := _MISSING.fullmatch(what):
            words = choices_at(document, (*path, missing[1]))
        else:
            words = choices_at(document, path, of_key=of_key) if path else ()
        name = next((step for step in reversed(path) if isinstance(step, str)), "the document")
        return Mistake(what=what, name=name, value=path[-1] if of_key else value, written=written, words=words)

    def _closer(self, path: Path, what: str, *, key: bool, inside: bool) -> Path:
        """The very entry that is meant, where the reader names only what holds it."""
        if unknown := _UNKNOWN.fullmatch(what):
            return (*path, unknown[1])
        if key:
            return (*path, next(name for name in self.sheet.value_at(path) if _is_odd_key(name, what)))
        if inside:
            return (*path, next(name for name, value in self.sheet.value_at(path).items() if _is_odd(value, what)))
        return path

    def _first_bad_range(self) -> Path:
        """The card range without which those before it would be taken; else the part of `cards` that is wrong."""
        for part in ("phone", "wallet"):
            try:
                msgspec.convert({part: self.sheet.value_at(("cards", part))}, CardRules)
            except Refusal:
                return ("cards", part)
            except msgspec.ValidationError:
                continue  # told by its own line
        ranges = self.sheet.value_at(("cards", "ranges")) or ()
        for i in range(len(ranges)):
            try:
                msgspec.convert({"ranges": ranges[: i + 1]}, CardRules)
            except Refusal:
                return ("cards", "ranges", i)
        return ("cards",)


def _is_odd_key(name: Any, what: str) -> bool:
    return not isinstance(name, str) or not name or f"'{name}'" in what


def _is_odd(value: Any, what: str) -> bool:
    """Whether this is the value of a mapping that the reader did not take."""
    if bound := _BOUND.match(what):
        most = int(bound[2])
        return isinstance(value, int) and (value > most if bound[1] == "<=" else value < most)
    if "of length" in what:
        return isinstance(value, str) and not value
    return not isinstance(value, str) if "Expected `str`" in what else type(value) is not int


def _steps(path: str) -> Path:
    return tuple(name or int(position) for name, position in _STEP.findall(path))
