"""Mistakes in a programme document, by line, each with its remedy.

An error is what `read_programme` refuses, a warning what it reads and nobody can have meant. All errors are told at
once: what cannot be read is taken out, text and value alike, and the rest is read again.
"""

import re
from typing import Any, Literal

import msgspec
import yaml

from loyalty.programme import Programme
from loyalty.programme_doubts import doubts_about
from loyalty.programme_remedies import remedy_for
from loyalty.programme_text import Loader, doubled_keys, line_of
from loyalty.trouble import Refusal

MOST_ERRORS = 100
Path = tuple[str | int, ...]

_TOLD = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
# What a rule of the document's own says: `to_on: lies before from_on; ...`.
_OWN = re.compile(r"(?P<path>\w+(?:\[\d+\]|\.\w+)*): (?P<say>.*)", re.DOTALL)
_NEEDED = {"id": "unnamed", "currency": "EUR"}  # stand in at the top, so that the rest can be read


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake: its line from 1, its path from `$`, which rule, and what to do about it."""

    line: int
    path: str
    rule: str
    say: str
    severity: Literal["error", "warning"] = "error"


def check_programme(text: str) -> tuple[Finding, ...]:
    """Everything that is wrong or doubtful in a programme, by line.

    Args:
        text: YAML or JSON, as it stands in the file.
    Returns:
        Findings sorted by line: errors, or else warnings; without an error `read_programme` takes the text.
    """
    try:
        # JSON may be laid out with tabs; within its strings there are none.
        loader = Loader(text.replace("\t", " ") if text.lstrip().startswith("{") else text)
        root = loader.get_single_node()
        if root is None:
            return (_unreadable(1, "the file is empty"),)
        sheet = _Sheet(root)
        sheet.value = loader.construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as trouble:
        return (_unreadable(line_of(trouble), str(getattr(trouble, "problem", None) or "it cannot be read")),)
    programme = sheet.read()
    if programme is not None and not sheet.findings:
        for doubt in doubts_about(programme):
            sheet.find(doubt.path, doubt.rule, doubt.say, "warning")
    return tuple(sorted(sheet.findings, key=lambda finding: (finding.line, finding.path)))


def _unreadable(line: int, why: str) -> Finding:
    return Finding(line=line, path="$", rule="syntax", say=f"This is neither YAML nor JSON: {why}. Mend it first.")


class _Sheet:
    """A document as values beside the nodes they came from; what was found wrong is taken out of both."""

    def __init__(self, root: yaml.Node) -> None:
        self.root = root
        self.value: Any = None
        self.findings: list[Finding] = []
        self._paths: dict[int, str] = {}
        self._cut: set[int] = set()
        self._walk(root, "$")

    def _walk(self, node: yaml.Node, path: str) -> None:
        """Note where every node stood, and keep the last of keys that stand twice, as YAML does."""
        if id(node) in self._paths:
            return
        self._paths[id(node)] = path
        if isinstance(node, yaml.MappingNode):
            for again in tuple(doubled_keys(node)):
                say = f"{again.value} stands here twice; keep one."
                self._add(again.start_mark.line, f"{path}.{again.value}", "twice", say)
            node.value = list({str(key.value): (key, part) for key, part in node.value}.values())
            for key, part in node.value:
                self._walk(part, f"{path}.{key.value}")
        elif isinstance(node, yaml.SequenceNode):
            for i, part in enumerate(node.value):
                self._walk(part, f"{path}[{i}]")

    def read(self) -> Programme | None:
        """The programme without what is wrong; none where nothing of it can be read."""
        while len(self.findings) < MOST_ERRORS:
            try:
                return msgspec.convert(self.value, Programme)
            except msgspec.ValidationError as trouble:
                if not self._take_out(str(trouble)):
                    return None
            except Refusal as trouble:
                self.find(("cards",), trouble.code, trouble.say)
                self._remove(("cards",))
            except RecursionError:
                self.find((), "syntax", "This document holds itself; write the part out instead of naming it.")
                return None
        return None

    def find(self, path: Path, rule: str, say: str, severity: Literal["error", "warning"] = "error") -> None:
        """Note a finding at a path of the document as it stands now, at the line where that path was written."""
        line, written = self._where(path)
        self._add(line, written, rule, say, severity)

    def _add(self, line: int, path: str, rule: str, say: str, severity: Literal["error", "warning"] = "error") -> None:
        self.findings.append(Finding(line=line + 1, path=path, rule=rule, say=say, severity=severity))

    def _take_out(self, told: str) -> bool:
        """Note one error of the reader and remove its cause; false when the cause is the whole document."""
        match = _TOLD.fullmatch(told)
        assert match is not None
        what, named = match["what"], match["path"] or "$"
        path = _steps(named)
        if own := _OWN.fullmatch(what):
            path += _steps("." + own["path"])
            self.find(path, "impossible", f"{path[-1] if isinstance(path[-1], str) else path[-2]} {own['say']}.")
            return self._remove(path)
        value = self._value(path)
        if id(value) in self._cut and ("missing required field" in what or "of length" in what):
            return self._remove(path)  # only because a part of it is wrong, which has been told
        path, value = _closer(path, value, what, key=bool(match["key"]), inside=named.endswith("[...]"))
        written = value if match["key"] else getattr(self._node(path), "value", "")
        rule, say = remedy_for(what, path, value, "" if isinstance(written, list) else str(written))
        self.find(path, rule, say)
        return self._remove(path)

    def _remove(self, path: Path) -> bool:
        if not path:
            if isinstance(self.value, dict) and not _NEEDED.keys() <= self.value.keys():
                self.value = _NEEDED | self.value
                return True
            return False
        holder, node, last = self._value(path[:-1]), self._node(path[:-1]), path[-1]
        del holder[last]
        self._cut.add(id(holder))
        if isinstance(node, yaml.SequenceNode):
            del node.value[last]
        elif isinstance(node, yaml.MappingNode):
            node.value = [pair for pair in node.value if not _is_key(pair[0], last)]
        return True

    def _value(self, path: Path) -> Any:
        value = self.value
        for step in path:
            value = value[step] if not isinstance(value, dict) or step in value else None
        return value

    def _node(self, path: Path) -> yaml.Node | None:
        node: yaml.Node | None = self.root
        for step in path:
            node = _part(node, step)
        return node

    def _where(self, path: Path) -> tuple[int, str]:
        """Line (from 0) and path as written; of what holds it, where the part itself was not written."""
        node, line, written = self.root, self.root.start_mark.line, "$"
        for step in path:
            below = _part(node, step)
            if below is None:
                return line, written + (f"[{step}]" if isinstance(step, int) else f".{step}")
            line = _line(node, step, below)
            node, written = below, self._paths.get(id(below), written)
        return line, written


def _closer(path: Path, value: Any, what: str, *, key: bool, inside: bool) -> tuple[Path, Any]:
    """The very entry that is meant, where the reader names only what holds it."""
    if unknown := re.search(r"unknown field `(.*)`", what):
        return (*path, unknown[1]), None
    if key:
        odd = next(name for name in value if not isinstance(name, str) or repr(name) in what)
        return (*path, odd), odd
    if inside:
        odd = next(name for name, text in value.items() if not isinstance(text, str) or not text)
        return (*path, odd), value[odd]
    return path, value


def _steps(path: str) -> Path:
    return tuple(name or int(position) for name, position in _STEP.findall(path))


def _part(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((part for key, part in reversed(node.value) if _is_key(key, step)), None)
    return None


def _line(node: yaml.Node, step: str | int, below: yaml.Node) -> int:
    """Of an entry the line of its key, of a list's item its own."""
    if isinstance(node, yaml.MappingNode):
        return next(int(key.start_mark.line) for key, _ in reversed(node.value) if _is_key(key, step))
    return int(below.start_mark.line)


def _is_key(node: yaml.Node, step: Any) -> bool:
    """Whether a key was written so; what YAML made of it besides text (`on` is true) is told by its tag."""
    if isinstance(step, str):
        return bool(node.value == step)
    return not str(node.tag).endswith(":str")
