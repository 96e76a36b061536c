"""Whatever an OpenAPI document allows, and what it does not, asked of a service in process by Schemathesis.

Source: reliability.md section 2, "Schemathesis".
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckContext, CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sync.wire import CONTENT_TYPE
from tests.faults.lengths import rounds

BOTH_WAYS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXAMPLES = rounds(1, 4)  # of an operation in one round
schemathesis.serializer.alias(CONTENT_TYPE, "application/octet-stream")
PROBLEM = "application/problem+json"
# A body that fits its schema may be refused all the same, for what it says together is not so: a card that is none,
# another currency. That every refusal is a problem of the documented form is what the others look at.
CHECKS: tuple[CheckFunction, ...] = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
)


def no_failure(ctx: CheckContext, response: Any, case: Any) -> None:
    """Nothing fails. What says in words that something is out of reach for now (503, a problem) has not failed."""
    is_said = response.status_code == 503 and response.headers["content-type"][0].startswith(PROBLEM)
    assert response.status_code < 500 or is_said, f"{response.status_code} of {case.method} {case.path}"


def ask_all(
    schema: Any,
    *,
    seconds: float,
    leave_out: Sequence[str] = (),
    ways: Sequence[GenerationMode] = BOTH_WAYS,
    send: Callable[[Any], int] | None = None,
) -> Counter[str]:
    """Ask every operation of a document in both ways, round by round as long as there is time, one round at least.

    Args:
        leave_out: paths that answer without end.
        ways: as the document allows, and as it does not.
        send: sends a case, looks at the answer and returns its status; as the document says where none is given.
    Returns:
        How many answers there were by operation, way and status.
    Raises:
        schemathesis.core.failures.FailureGroup: an answer that may not be.
    """
    send = send or _checked
    ends, seen = monotonic() + seconds, Counter[str]()
    asked = list(_strategies(schema, leave_out, ways))
    for n in count():
        for told, strategy in asked:
            if n and monotonic() > ends:
                return seen
            _ask(strategy, n, lambda case, told=told: seen.update([f"{told} {send(case)}"]))
        if monotonic() > ends:
            return seen
    return seen


def _strategies(schema: Any, leave_out: Sequence[str], ways: Sequence[GenerationMode]) -> Iterator[tuple[str, Any]]:
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in leave_out:
            for mode in ways:
                yield f"{operation.label} {mode.value}", operation.as_strategy(generation_mode=mode)


def _ask(strategy: Any, n: int, do: Callable[[Any], None]) -> None:
    """The same cases in every run, other ones in every round."""

    @seed(n)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(case=strategy)
    def ask(case: Any) -> None:
        do(case)

    with suppress(Unsatisfiable):  # an operation that takes any text at all cannot be asked wrongly
        ask()


def _checked(case: Any) -> int:
    response = case.call()
    case.validate_response(response, checks=[no_failure, *CHECKS])
    return int(response.status_code)


def document_of(app: Any) -> Any:
    """A service's own document, over its own application."""
    return schemathesis.openapi.from_wsgi("/openapi.json", app)
