"""docs/errors.md from the code: `python -m tests.house.errors_page > docs/errors.md` after a code was added."""

import importlib
import pkgutil
from pathlib import Path

from loyalty.trouble import CODES, Fault, InvariantBroken, Refusal, Trouble

ROOT = Path(__file__).parents[2]
FOLDERS = ("loyalty", "sync", "pos_adapters", "receipt_templates", "edge", "central", "tallypoint")
HEAD = """# Error codes

Every trouble carries a stable code, a sentence with the next step, and its figures. Over HTTP it is a problem
document (RFC 9457) with `code`; on the command line the sentence and the code. A *refusal* is a rule that said no, for
the cashier or the caller; a *fault* is a device, disk or line, for the operator; an *invariant* is a sum of our own
that did not hold.

| code | family | HTTP status | raised in |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    for folder in FOLDERS:
        package = importlib.import_module(folder)
        for found in pkgutil.walk_packages(package.__path__, f"{folder}."):
            if ".migrations." not in found.name:
                importlib.import_module(found.name)
    ours = {code: kind for code, kind in CODES.items() if kind.__module__.split(".")[0] in FOLDERS}
    rows = [f"| `{code}` | {_family(kind)} | {kind.status} | `{_place(kind)}` |" for code, kind in sorted(ours.items())]
    return HEAD + "\n".join(rows) + "\n"


def _family(kind: type[Trouble]) -> str:
    families = ((Refusal, "refusal"), (Fault, "fault"), (InvariantBroken, "invariant"))
    return next(name for family, name in families if issubclass(kind, family))


def _place(kind: type[Trouble]) -> str:
    place = kind.__module__.replace(".", "/")
    return f"{place}/__init__.py" if (ROOT / place).is_dir() else f"{place}.py"


if __name__ == "__main__":
    print(page(), end="")
