"""A programme document as values beside the lines they stand on, from which what is wrong can be taken out."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from loyalty.programme.text import Loader, doubled_keys, read_text
from loyalty.programme.words import Path

# Octal and base sixty: YAML 1.1 has them, and nobody who writes a price means them.
_OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+)")
_NOWHERE = yaml.Mark("", 0, 0, 0, "", 0)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where something was written: the line from 1, and the path from `$` that it had in the file."""

    line: int
    path: str


class Sheet:
    """A document as values beside the nodes they came from; what is taken out is taken out of both.

    Attributes:
        value: the document, of plain values.
        doubled: keys that stand twice in one place; the last of them counts.

    Raises (when made):
        yaml.YAMLError, ValueError, RecursionError: of a text that is neither YAML nor JSON.
        BadProgramme: of JSON with a key twice that no line can be told of.
    """

    def __init__(self, text: str) -> None:
        self._paths: dict[int, str] = {}
        self._cut: set[int] = set()
        self._lost: set[str] = set()
        self.doubled: list[tuple[Place, str]] = []
        try:
            self.value: Any = json.loads(text)
            self.is_json = True
        except (ValueError, RecursionError):
            self.is_json = False
        if self.is_json:
            self._root = _nodes_of_json(text)
            self._walk(self._root, "$")
            return
        loader = Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise yaml.MarkedYAMLError(problem="the file is empty")
        self._root = root
        self._walk(root, "$")
        self.value = loader.construct_document(root)

    def value_at(self, path: Path) -> Any:
        """What stands at a path now; none where nothing does."""
        value = self.value
        for step in path:
            value = value[step] if not isinstance(value, dict) or step in value else None
        return value

    def written_at(self, path: Path) -> str:
        """A single value as it stands in the file, empty for a list or a part."""
        node = self._node(path)
        return node.value if isinstance(node, yaml.ScalarNode) else ""

    def key_at(self, path: Path) -> str:
        """The last key of a path as it stands in the file, where YAML made something else of it."""
        node = self._node(path[:-1])
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        return next((str(key.value) for key, _ in pairs if _is_key(key, path[-1])), str(path[-1]))

    def place_of(self, path: Path) -> Place:
        """Where a path of the document as it is now was written; where that was not, what holds it."""
        node, line, written = self._root, self._root.start_mark.line, "$"
        for step in path:
            below = _part(node, step)
            if below is None:
                written += f"[{step}]" if isinstance(step, int) else f".{step}"
                break
            line = _line(node, step, below)
            node, written = below, self._paths.get(id(below), written)
        return Place(line=line + 1, path=written)

    def take_out(self, path: Path) -> None:
        """Remove what stands at a path, which has at least one step."""
        holder, node, last = self.value_at(path[:-1]), self._node(path[:-1]), path[-1]
        del holder[last]
        self._cut.add(id(holder))
        if len(path) <= 2 or path[2:] == ("id",):
            self._lost.add(str(path[0]))
        if isinstance(node, yaml.SequenceNode):
            del node.value[last]
        elif isinstance(node, yaml.MappingNode):
            node.value = [pair for pair in node.value if not _is_key(pair[0], last)]

    def is_cut(self, path: Path) -> bool:
        """Whether something was taken out of the very part at a path."""
        return id(self.value_at(path)) in self._cut

    def has_lost(self, name: str) -> bool:
        """Whether the list of this name at the top, or an entry of it, was taken out."""
        return name in self._lost

    def half_character(self) -> Path | None:
        """A path to text, or to a key, that holds half of a character and so cannot be written down."""
        return next((path for path, text in _texts(self.value, (), set()) if not _is_whole(text)), None)

    def odd_numbers(self) -> Iterator[tuple[Place, str, int]]:
        """Whole numbers that YAML reads in another base than ten: where, as written, as read."""
        if not self.is_json:
            yield from self._odd_numbers(self._root, self.value, set())

    def _odd_numbers(self, node: yaml.Node, value: Any, seen: set[int]) -> Iterator[tuple[Place, str, int]]:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            if type(value) is int and _OTHER_BASE.fullmatch(node.value):
                yield Place(line=node.start_mark.line + 1, path=self._paths[id(node)]), node.value, value
        elif isinstance(node, yaml.SequenceNode):
            for below, part in zip(node.value, value, strict=True):
                yield from self._odd_numbers(below, part, seen)
        elif isinstance(node, yaml.MappingNode):
            for key, below in node.value:
                if key.value in value:
                    yield from self._odd_numbers(below, value[key.value], seen)

    def _walk(self, node: yaml.Node, path: str) -> None:
        """Note where every node stood, and keep the last of keys that stand twice, as YAML does."""
        if id(node) in self._paths:
            return
        self._paths[id(node)] = path
        if isinstance(node, yaml.MappingNode):
            for again in tuple(doubled_keys(node)):
                self.doubled.append((Place(line=again.start_mark.line + 1, path=f"{path}.{again.value}"), again.value))
            node.value = list({str(key.value): (key, part) for key, part in node.value}.values())
            for key, part in node.value:
                if self.is_json:
                    key.value = key.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
                self._walk(part, f"{path}.{key.value}")
        elif isinstance(node, yaml.SequenceNode):
            for i, part in enumerate(node.value):
                self._walk(part, f"{path}[{i}]")

    def _node(self, path: Path) -> yaml.Node | None:
        node: yaml.Node | None = self._root
        for step in path:
            node = _part(node, step)
        return node


def _nodes_of_json(text: str) -> yaml.Node:
    """The nodes of a JSON text, for their lines; what JSON may hold and YAML may not is written as escapes.

    Where YAML cannot lay the text out all the same (a key of a thousand letters), everything stands on line 1.
    """
    escaped = re.sub(r"[^\n\r -~]", lambda found: f"\\U{ord(found[0]):08x}", text.replace("\t", " "))
    try:
        return Loader(escaped).get_single_node() or yaml.ScalarNode("", "", _NOWHERE, _NOWHERE)
    except (yaml.YAMLError, ValueError, RecursionError):
        read_text(text)
        return yaml.ScalarNode("", "", _NOWHERE, _NOWHERE)


def _texts(value: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, str]]:
    """Every text of a document with its path, keys with the path of what they name; a part that holds itself once."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list) and id(value) not in seen:
        seen.add(id(value))
        for step, below in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(step, str):
                yield (*path, step), step
            yield from _texts(below, (*path, step), seen)


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


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
