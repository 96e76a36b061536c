"""`tallypoint fleet`: tills, centre and a bad line in virtual time; a seed can be played again."""

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from tallypoint.fleet.faults import KINDS, LINE, OF_ALL, OF_TILLS, read_kinds
from tallypoint.fleet.run import Broken, Report, run_each, run_seeds
from tallypoint.fleet.world import Plan


def register(commands: Any) -> None:
    """Add `fleet`."""
    told = "; ".join(f"{name}: {say}" for name, (_, say) in [*LINE.items(), *OF_TILLS.items(), *OF_ALL.items()])
    parser = commands.add_parser(
        "fleet", help="many tills and their centre in virtual time, under faults", epilog=f"Faults. {told}."
    )
    parser.add_argument("--tills", type=_positive, default=5, metavar="N")
    parser.add_argument("--transactions", type=_positive, default=200, metavar="M", help="over all tills")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the history; the same seed, the same bytes")
    parser.add_argument(
        "--seeds", type=_seeds, default=Seeds(count=1), metavar="K|A-B",
        help="so many from it on, until one fails; or from A to B, whatever fails, a line of JSON each and one for all",
    )  # fmt: skip
    parser.add_argument("--faults", default="all", metavar="NAMES", help="all (default), none, or names with commas")
    parser.add_argument("--twice", action="store_true", help="each seed again, and hold the bytes against each other")
    parser.add_argument("--json", action="store_true", help="print data instead of lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play the seeds and report; 1 when something that always holds did not. Raises: UnknownFault."""
    gc.freeze()  # what was imported stays: no search for what is in use no more need pass it again
    kinds = read_kinds(args.faults)
    plan = Plan(tills=args.tills, transactions=args.transactions, seed=args.seed, faults=kinds)
    if args.seeds.first is not None:
        return _run_range(msgspec.structs.replace(plan, seed=args.seeds.first), args.seeds.count, args.twice)
    several = args.seeds.count > 1
    told = partial(_progress, several=several)
    reports = list(run_seeds(plan, args.seeds.count, twice=args.twice or several, told=told))
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(_together(reports)), indent=2).decode())
    else:
        _show(reports)
    last = reports[-1]
    if not last.violations:
        return 0
    why = last.violations[0].strip().splitlines()[-1]
    print(f"Seed {last.seed} broke what always holds: {why}\n  {last.replay}", file=sys.stderr)
    return 1


def _run_range(plan: Plan, count: int, twice: bool) -> int:
    """Play every seed of a range, tell each as it ends, and all of them at the end."""
    begun, sums, broken = time.monotonic(), Counter[str](), []
    for one in run_each(plan, count, twice=twice):
        print(msgspec.json.encode(one).decode(), flush=True)
        sums.update({name: value for name, value in msgspec.to_builtins(one).items()
                     if isinstance(value, int) and name not in ("seed", "tills")})  # fmt: skip
        sums["seeds"] += 1
        if one.violations:
            broken.append(one.seed)
    summed = {"first": plan.seed, "last": plan.seed + count - 1, "tills": plan.tills, "twice": twice, **sums,
              "seconds": round(time.monotonic() - begun, 1), "broken": broken}  # fmt: skip
    print(msgspec.json.encode(summed).decode(), flush=True)
    return 1 if broken else 0


def _together(reports: Sequence[Report | Broken]) -> Any:
    """The one report; of several seeds the sums, and the last seed's own. What broke off has no figures."""
    whole = [one for one in reports if isinstance(one, Report)]
    if len(reports) == 1 or len(whole) < len(reports):
        return reports[-1]
    last = msgspec.to_builtins(whole[-1])
    summed: dict[str, Any] = {"seed": last["seed"], "seeds": len(whole), "tills": last["tills"]}
    for name, value in last.items():
        if name not in summed and isinstance(value, int | float):
            summed[name] = round(sum(getattr(one, name) for one in whole), 3)
    faults: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for one in whole:
        faults.update(one.faults)
        seen.update(one.seen)
    more = {name: last[name] for name in ("digest", "replay", "violations")}
    return {**summed, "faults": dict(sorted(faults.items())), "seen": dict(sorted(seen.items())), **more}


def _progress(report: Report | Broken, *, several: bool) -> None:
    if isinstance(report, Broken):
        print(f"seed {report.seed}: broke off", file=sys.stderr)
    elif several:
        state = "broken" if report.violations else "good"
        print(f"seed {report.seed}: {state}, {report.events} events, {report.seconds} s", file=sys.stderr)


def _show(reports: Sequence[Report | Broken]) -> None:
    told = msgspec.to_builtins(_together(reports))
    for name, value in told.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, count in value.items():
                print(f"  {key:<40} {count:>10,}")
        elif isinstance(value, list | tuple):
            print(f"{name}: {len(value)}")
            for one in value[:20]:
                print(f"  {one}")
        else:
            print(f"{name:<14} {value:,}" if isinstance(value, int) else f"{name:<14} {value}")
    never = sorted(set(KINDS) - set(told.get("faults", KINDS)))
    if never and len(reports) > 1:
        print(f"never: {', '.join(never)}")


class Seeds(msgspec.Struct, frozen=True, kw_only=True):
    """Which seeds: so many from the first on, which is `--seed` where it is none."""

    count: int
    first: int | None = None


def _seeds(text: str) -> Seeds:
    first, is_range, last = text.partition("-")
    if not is_range:
        return Seeds(count=_positive(text))
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise argparse.ArgumentTypeError("so many seeds, such as 50, or from one to another, such as 1-50")
    return Seeds(first=int(first), count=int(last) - int(first) + 1)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number, 1 or more")
    return int(text)
