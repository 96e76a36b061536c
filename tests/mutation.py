"""`make mutants`: small mistakes put into the modules that count money and points, and whether a test notices each.

    python -m tests.mutation [--processes N] [--folder FOLDER] [GROUP ...]

mutmut is none of our dependencies. A temporary environment gets it, pinned, and sees the packages of the interpreter
that runs this; the mistakes are made in a copy of the tree. What it found when last looked at is in docs/mutants.md.
Ends with 1 where the tests do not pass unchanged, or a function named here is gone.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MUTMUT = "mutmut==3.8.1"
ROOT = Path(__file__).resolve().parents[1]
LEFT_BEHIND = (".*", "__pycache__", "*.egg-info", "build", "dist", "mutants")

# Verdicts of mutmut 3, by the exit code of the tests; anything else is told as it is.
VERDICTS = {0: "survived", 1: "killed", 3: "killed", 5: "no tests", 33: "no tests", 36: "timeout", 24: "timeout",
            -24: "timeout", 152: "timeout"}  # fmt: skip
CAUGHT = ("killed", "timeout")  # a till that never answers is noticed as well

# Each mistake is judged by the same examples, by fewer than usual, and by the first that fails, however large it is.
EXAMPLES = 40
CONFTEST = f'''
from hypothesis import Phase, settings

settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, max_examples={EXAMPLES},
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("mutants")
'''


@dataclass(frozen=True)
class Group:
    """Modules of the kernel with the functions that are looked at (none named: all), and the tests that answer."""

    functions: dict[str, tuple[str, ...]]
    tests: tuple[str, ...]


ALL: tuple[str, ...] = ()
# Rounding, spreading, lots, returns and netting: what shares money or points out, or decides whose they are.
GROUPS = {
    "amounts": Group({"amounts": ALL}, ("amounts", "cases")),
    "netting": Group({"settling.netting": ALL, "settling.statements": ALL}, ("settlement",)),
    "discounts": Group(
        {
            "pricing.discounts": (
                "percent_of", "spread", "spread_out", "parts_of", "room_of",
                "_each", "_percent_per_unit", "_some_units",
            ),
            "pricing.units": ALL,
        },
        ("units", "discounts", "buy_get", "scales", "stacking", "cases"),
    ),
    "lots": Group(
        {"lots": ALL, "ledger.expiry": ALL, "shares": ALL}, ("lots", "expiry", "shares", "settlement", "postings")
    ),
    "returns": Group(
        {
            "facts.returned_lines": ("_shares", "_funded", "_check"),
            "facts.returned_points": ("points_back", "standing_of", "_pro_rata", "_lots", "_earned"),
            "facts.withholding": ALL,
            "programme.return_rules": ("ReturnRules.of_coupon",),
            "facts.reversals": ("came_back",),
        },
        ("reversals", "return_stories", "returns_add_up", "receipts", "events"),
    ),
    "reversals": Group(
        {"ledger.reversal_postings": ALL, "facts.returned_uses": ALL},
        ("reversal_postings", "returned_uses", "reversals", "return_stories", "returns_add_up", "postings"),
    ),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the mistakes, group by group, and print what went unnoticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mistakes that no test notices.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)}; all without one")
    parser.add_argument("--processes", type=int, default=2, help="at a time (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="keep environment and copies here (default: a temporary folder)")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    os.nice(10)  # an hour of work should not be in the way of anybody's
    with tempfile.TemporaryDirectory(prefix="tallypoint-mutants-") as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        python = environment(folder / "env")
        totals: Counter[str] = Counter()
        for name in asked.groups or GROUPS:
            tree = copy_of_the_tree(folder / name, GROUPS[name])
            done = subprocess.run(
                [python.with_name("mutmut"), "run", "--max-children", str(asked.processes), *wanted(GROUPS[name])],
                cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                print("\n".join(line for line in done.stdout.splitlines() if "Running stats" not in line))
                return 1
            for module in GROUPS[name].functions:
                verdicts = verdicts_of(tree, module)
                if gone := renamed(GROUPS[name].functions[module], verdicts):
                    print(f"{path_of(module)} has no {', '.join(gone)} any more; say in tests/mutation.py what it is")
                    return 1
                totals += Counter(verdicts.values())
                print(f"{path_of(module)}: {told(Counter(verdicts.values()))}", flush=True)
                for mutant in (mutant for mutant, verdict in verdicts.items() if verdict not in CAUGHT):
                    print(f"  {mutant}: {verdicts[mutant]}", *changed_lines(python, tree, mutant), sep="\n    ")
        print(f"in all: {told(totals)}")
    return 0


def path_of(module: str) -> str:
    """The file of a module of the kernel."""
    return f"loyalty/{module.replace('.', '/')}.py"


def environment(folder: Path) -> Path:
    """The interpreter of an environment that has mutmut, and behind it the packages of ours."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", MUTMUT], check=True)
        found = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        Path(found.stdout.strip(), "ours.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return python


def copy_of_the_tree(folder: Path, group: Group) -> Path:
    """A fresh copy in which mutmut will change the modules of this group only."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    (folder / "tests" / "loyalty" / "conftest.py").write_text(CONFTEST, "utf-8")
    for path in (folder / "tests" / "loyalty").glob("test_*.py"):
        said = path.read_text("utf-8")
        path.write_text(re.sub(r"max_examples=\d+", f"max_examples={EXAMPLES}", said), "utf-8")
    settings = {
        "source_paths": ["loyalty"],
        "only_mutate": [path_of(module) for module in group.functions],
        "also_copy": sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != "loyalty"),
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": [f"tests/loyalty/test_{test}.py" for test in group.tests],
        # Each mistake meets freshly imported modules: what tests remember of the unchanged ones would hide it.
        "process_isolation": "forkserver",
        "use_git_change_detection": False,
    }
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        # JSON's texts, lists and yes-or-no are TOML as well.
        file.writelines(["\n[tool.mutmut]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())])
    return folder


def wanted(group: Group) -> Iterator[str]:
    """How mutmut calls the mutants of these functions."""
    for module, functions in group.functions.items():
        if not functions:
            yield f"loyalty.{module}.*__mutmut_*"
        yield from (f"loyalty.{module}.{mangled(function)}__mutmut_*" for function in functions)


def mangled(function: str) -> str:
    """`Shares.of` is xǁSharesǁof there, `share_out` x_share_out."""
    return f"xǁ{function.replace('.', 'ǁ')}" if "." in function else f"x_{function}"


def verdicts_of(tree: Path, module: str) -> dict[str, str]:
    """What became of each mutant of a module that was looked at."""
    notes = json.loads((tree / "mutants" / f"{path_of(module)}.meta").read_text("utf-8"))
    codes = {mutant: code for mutant, code in notes["exit_code_by_key"].items() if code is not None}
    return {mutant: VERDICTS.get(code, f"ended with {code}") for mutant, code in codes.items()}


def renamed(functions: Sequence[str], verdicts: Iterable[str]) -> list[str]:
    """Functions that are to be looked at and are not there."""
    looked_at = {mutant.rpartition("__mutmut_")[0].rpartition(".")[2] for mutant in verdicts}
    return [function for function in functions if mangled(function) not in looked_at]


def told(verdicts: Counter[str]) -> str:
    """`120 mutants: 110 killed, 3 timeout, 7 survived`."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return f"{verdicts.total()} mutants: {counts}"


def changed_lines(python: Path, tree: Path, mutant: str) -> Iterator[str]:
    """What stood there and what stands there now."""
    shown = subprocess.run(
        [python.with_name("mutmut"), "show", mutant], cwd=tree, check=True, capture_output=True, text=True
    )
    for line in shown.stdout.splitlines():
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++")):
            yield f"{line[0]} {line[1:].strip()}"


if __name__ == "__main__":
    sys.exit(main())
