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
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from loyalty.trouble import CODES, BadInput
from sync.wire import CONTENT_TYPE
from tests.faults.lengths import rounds

BOTH_WAYS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXAMPLES = rounds(1, 4)
schemathesis.serializer.alias(CONTENT_TYPE, "application/octet-stream")
PROBLEM = "application/problem+json"
# As Schemathesis has it, and 413.
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]
# Of troubles with what was sent these two depend on the clock and on what a till keeps for itself; a document cannot
# say them.
_ONLY_HERE = {"sale.bad_time", "receipt.id_reserved"}
_ALSO_SHAPE = {"return.goods_missing", "claim.incomplete", "money.unknown_currency"}
SHAPE = {code for code, kind in CODES.items() if issubclass(kind, BadInput)} - _ONLY_HERE | _ALSO_SHAPE


def accepts_what_fits(ctx: CheckContext, response: Any, case: Any) -> None:
    """What fits the document is done, or refused with a status that this very operation lists, and never for its shape.

    `default` lists nothing: it stands for what does not fit.
    """
    listed = [status for status in case.operation.definition.raw["responses"] if status != "default"]
    ctx.config.positive_data_acceptance.expected_statuses = listed
    positive_data_acceptance(ctx, response, case)
    is_problem = response.headers["content-type"][0].startswith(PROBLEM)
    if case.meta.generation.mode.is_positive and is_problem:
        assert response.json()["code"] not in SHAPE, response.json()


def refuses_what_does_not_fit(ctx: CheckContext, response: Any, case: Any) -> None:
    """What does not fit the document is refused; a body that is too large as well, for that (413)."""
    ctx.config.negative_data_rejection.expected_statuses = REFUSED
    negative_data_rejection(ctx, response, case)


# All checks of one answer that Schemathesis has for OpenAPI, but for these: `ignored_auth`, for the till of these tests
# has no `pos_token`, and whoever reaches it may ask; `unsupported_method`, `missing_required_header` and the stateful
# ones, which look at requests that are not made here.
CHECKS: tuple[CheckFunction, ...] = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    refuses_what_does_not_fit,
    accepts_what_fits,
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
    examples: int = EXAMPLES,
) -> Counter[str]:
    """Ask every operation of a document in both ways, round by round as long as there is time, one round at least.

    Args:
        leave_out: paths that answer without end.
        ways: as the document allows, and as it does not.
        examples: of an operation in one round.
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
            _ask(strategy, n, examples, lambda case, told=told: seen.update([f"{told} {send(case)}"]))
        if monotonic() > ends:
            return seen
    return seen


def _strategies(schema: Any, leave_out: Sequence[str], ways: Sequence[GenerationMode]) -> Iterator[tuple[str, Any]]:
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in leave_out:
            for mode in ways:
                yield f"{operation.label} {mode.value}", operation.as_strategy(generation_mode=mode)


def _ask(strategy: Any, n: int, examples: int, do: Callable[[Any], None]) -> None:
    """The same cases in every run, other ones in every round."""

    @seed(n)
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(case=strategy)
    def ask(case: Any) -> None:
        do(case)

    with suppress(Unsatisfiable):  # an operation that takes any text at all cannot be asked wrongly
        ask()


def _checked(case: Any) -> int:
    if case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        # To JSON Schema 3.0 is an integer. The document says in words that integers are written without a point.
        case.body = _without_points(case.body)
    response = case.call()
    case.validate_response(response, checks=[no_failure, *CHECKS])
    return int(response.status_code)


def _without_points(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: _without_points(one) for name, one in said.items()}
    if isinstance(said, list):
        return [_without_points(one) for one in said]
    return int(said) if isinstance(said, float) and said.is_integer() else said


def document_of(app: Any, narrow: Callable[[dict[str, Any]], None] = lambda document: None) -> Any:
    """A service's own document, over its own application.

    Args:
        narrow: changes the document before it is asked, so that more of what fits it is also so.
    """
    document = app.test_client().get("/openapi.json").json
    narrow(document)
    schema = schemathesis.openapi.from_dict(document)
    schema.app = app
    return schema
