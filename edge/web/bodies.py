"""What comes in with a request and goes out with its answer: bodies, and the few words of a query."""

from typing import Any, TypeVar

import msgspec
from flask import Response, request

from edge.api.bodies import Body as AnyBody
from edge.api.contract import read_body
from edge.web.openapi import JSON
from loyalty.trouble import BadInput

Body = TypeVar("Body", bound=AnyBody)
TROUBLE = "tallypoint.trouble"  # of the WSGI environment: met on the short way


class BadQuery(BadInput):
    code = "request.bad_query"


def read(kind: type[Body]) -> Body:
    """The body of this request as its type; in training where the query says so, for a void may have no body at all.

    Raises:
        BadInput, NoSuchField, BadQuery; what went wrong on the short way.
    """
    if (trouble := request.environ.get(TROUBLE)) is not None:
        raise trouble
    body = read_body(request.get_data(cache=False), kind)
    if "training" in kind.__struct_fields__ and is_training():
        return msgspec.structs.replace(body, training=True)
    return body


def answer(said: msgspec.Struct, status: int = 200) -> Response:
    """An answer as JSON."""
    return Response(msgspec.json.encode(said), status, mimetype=JSON)


def choice_of(name: str, allowed: tuple[str, ...]) -> Any:
    """A word of the query; "" where it is not there. Raises: BadQuery."""
    value = request.args.get(name, "")
    if value and value not in allowed:
        raise BadQuery(f"{name} may be {', '.join(allowed)}.", name=name)
    return value


def is_training() -> bool:
    """Whether the query asks for what was practised."""
    return bool(choice_of("training", ("true", "false")) == "true")


def number_of(name: str) -> int:
    """A cursor of the query, 0 where it is not there. Raises: BadQuery."""
    value = request.args.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise BadQuery(f"{name} is a whole number, the cursor of the last answer.", name=name)
    return int(value)


def wanted(name: str) -> str:
    """A text of the query that must be there. Raises: BadQuery."""
    value = request.args.get(name, "")
    if not 0 < len(value) <= 2048:
        raise BadQuery(f"Give {name} in the query, such as ?{name}=….", name=name)
    return value
