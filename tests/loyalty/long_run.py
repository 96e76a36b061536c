"""Engine and naive interpreter over many random cases: `python -m tests.loyalty.long_run [COUNT] [FIRST_SEED]`.

Prints what differs, seed by seed, and ends with 1 if anything did. A seed gives the same case everywhere, so one that
differs can be looked at with COUNT 1.
"""

import sys
from typing import Any

import msgspec

from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.trouble import Trouble
from tests.loyalty.case_runner import found_in
from tests.loyalty.naive import naive_quote
from tests.loyalty.random_programmes import Case, case_of_seed

COUNT = 50_000


def engine_quote(case: Case) -> Quote:
    """What the engine says of a case."""
    return quote_basket(
        compile_programme(case.programme),
        case.basket,
        case.place,
        case.view,
        authority=case.authority,
        bearer=case.bearer,
        shared=case.shared,
    )


def differences(case: Case) -> dict[str, tuple[Any, Any]]:
    """Figures on which the two differ: what the engine found, what the naive interpreter found."""
    try:
        found = in_words_of_figures(engine_quote(case))
    except Trouble as trouble:
        return {"trouble": (str(trouble), None)}
    figures = naive_quote(
        case.programme,
        case.basket,
        case.place,
        case.view,
        authority=case.authority,
        bearer=case.bearer,
        shared=case.shared,
    )
    # Fields go through the same plain values, so that tuples and lists do not count as a difference.
    wanted = {name: getattr(figures, name) for name in figures.__dataclass_fields__}
    return {name: (found[name], value) for name, value in wanted.items() if found[name] != value}


def in_words_of_figures(quote: Quote) -> dict[str, Any]:
    """The figures of a quote as `Figures` names them."""
    found = found_in(quote)
    gifts: dict[str, int] = {}
    for promotion, _, units in found["gifts"]:
        gifts[promotion] = gifts.get(promotion, 0) + units
    return found | {
        "applied": sorted(one.promotion for one in quote.why if one.applied),
        "gifts": gifts,
        "issued": sorted(found["issued"]),
    }


def main(arguments: list[str]) -> int:
    count, first = int(arguments[0]) if arguments else COUNT, int(arguments[1]) if len(arguments) > 1 else 0
    differing = 0
    for seed in range(first, first + count):
        if found := differences(case_of_seed(seed)):
            differing += 1
            print(f"seed {seed}")
            for name, (engine, naive) in found.items():
                print(f"  {name}: engine {engine}, naive {naive}")
    print(f"{count - differing} of {count} cases agreed, {differing} differed")
    return 1 if differing else 0


def in_full(case: Case) -> str:
    """A case as JSON, to look at."""
    return msgspec.json.format(msgspec.json.encode(case._asdict()), indent=2).decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
