"""A programme file as values: YAML or JSON text, every key once.

YAML's own reader keeps the last of two equal keys and says nothing, so half a programme could go missing.
"""

import json
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

from loyalty.trouble import Refusal


class BadProgramme(Refusal):
    code = "programme.malformed"
    status = 422


class Loader(yaml.SafeLoader):
    """YAML 1.1 as `yaml.safe_load` reads it, but for a key twice and a date that does not exist: both are errors."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if again := next(doubled_keys(node), None):
            raise yaml.constructor.ConstructorError(
                None, None, f"{again.value!r} stands here twice; keep one", again.start_mark
            )
        return super().construct_mapping(node, deep)

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:
            return node.value  # left as text, for the document's types to refuse by its path


Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_timestamp)


def read_text(text: str | bytes) -> Any:
    """The document in a text, of plain values.

    JSON is read as JSON, for YAML knows neither its tabs nor its paired surrogates.

    Raises:
        BadProgramme: neither JSON nor YAML, or a key that stands twice in one place.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return _read_yaml(text)


def line_of(trouble: Exception) -> int:
    """The line that a YAML error speaks of, from 1; 1 where it names none."""
    mark = getattr(trouble, "problem_mark", None)
    return int(mark.line) + 1 if mark else 1


def doubled_keys(node: yaml.MappingNode) -> Iterator[yaml.ScalarNode]:
    """The keys of a mapping that stand there a second time; those merged in by `<<` stand elsewhere."""
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and node.start_mark.index <= key.start_mark.index < node.end_mark.index:
            if key.value in seen:
                yield key
            seen.add(key.value)


def _read_yaml(text: str | bytes) -> Any:
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as trouble:
        why = getattr(trouble, "problem", None) or "it cannot be read"
        raise BadProgramme(
            f"The programme is not YAML or JSON at line {line_of(trouble)}: {why}; mend the file and check it again."
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for i, name in enumerate(names) if name in names[:i])
        raise BadProgramme(f"{again!r} stands twice in one object of the programme; keep one.")
    return found
