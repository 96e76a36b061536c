"""Which words may stand where in a programme document, as its types say: the keys of a part, the choices of a value."""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from loyalty.programme.programme import Programme

Path = tuple[str | int, ...]

_WHOLE = inspect.type_info(Programme)


def keys_at(document: Any, path: Path) -> tuple[str, ...]:
    """The keys that a part of the document may have; `kind` first where it has one.

    Args:
        document: decoded YAML or JSON, right or wrong.
        path: where the part is, from the top.
    """
    types, value = _parts_at(document, path)
    return tuple(dict.fromkeys(key for part in _meant(types, value) for key in _keys(part)))


def choices_at(document: Any, path: Path, *, of_key: bool = False) -> tuple[str, ...]:
    """The words that a value may be, sorted; none where any text may stand.

    Args:
        document: decoded YAML or JSON, right or wrong.
        path: where the value is, from the top; of a kind the path of `kind` itself.
        of_key: the path ends with a key of a mapping, such as the language of a text, and this key is meant.
    """
    holders, value = _parts_at(document, path[:-1])
    if of_key:
        return _sorted(part.key_type for part in holders if isinstance(part, inspect.DictType))
    kinds = [one.tag for one in holders if isinstance(one, inspect.StructType) and one.tag_field == path[-1]]
    if kinds:
        return tuple(sorted(str(kind) for kind in kinds))
    return _sorted(below for part in _meant(holders, value) for below in _below(part, path[-1]))


def _parts_at(document: Any, path: Path) -> tuple[list[inspect.Type], Any]:
    """What may stand at a path, every kind of it, and what does stand there."""
    types, value = [_WHOLE], document
    for step in path:
        types = [below for one in _meant(types, value) for below in _below(one, step)]
        value = _value(value, step)
    return types, value


def _meant(types: list[inspect.Type], value: Any) -> list[inspect.Type]:
    """Of parts that have a kind the one that the document names; all of them where it names none that is known."""
    said: list[inspect.Type] = [
        one for one in types
        if isinstance(one, inspect.StructType) and one.tag_field and _value(value, one.tag_field) == one.tag
    ]  # fmt: skip
    return said or types


def _below(kind: inspect.Type, step: str | int) -> Iterator[inspect.Type]:
    below: inspect.Type | None = None
    if isinstance(kind, inspect.StructType):
        below = next((field.type for field in kind.fields if field.encode_name == step), None)
    elif isinstance(kind, inspect.DictType):
        below = kind.value_type
    elif isinstance(kind, inspect.VarTupleType):
        below = kind.item_type
    elif isinstance(kind, inspect.TupleType) and isinstance(step, int) and step < len(kind.item_types):
        below = kind.item_types[step]
    yield from below.types if isinstance(below, inspect.UnionType) else () if below is None else (below,)


def _keys(kind: inspect.Type) -> tuple[str, ...]:
    if not isinstance(kind, inspect.StructType):
        return ()
    tag = (kind.tag_field,) if kind.tag_field else ()
    return (*tag, *(field.encode_name for field in kind.fields))


def _sorted(kinds: Iterator[inspect.Type]) -> tuple[str, ...]:
    words = {str(word) for kind in kinds if isinstance(kind, inspect.LiteralType) for word in kind.values}
    return tuple(sorted(words - {""}))


def _value(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict):
        return holder.get(step)
    if isinstance(holder, list) and isinstance(step, int) and step < len(holder):
        return holder[step]
    return None
