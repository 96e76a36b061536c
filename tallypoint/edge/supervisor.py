"""`tallypoint edge supervisor-code`: a supervisor's code as the settings of a till keep it."""

import argparse
import getpass
import os
import sys
from typing import Any

from edge.sale.approving import hash_of_code


def add_supervisor(actions: Any) -> None:
    """Add the action; it needs no settings, and writes nothing."""
    new = actions.add_parser(
        "supervisor-code", help="hash a supervisor's PIN or badge for `supervisors` of the settings; it is read unseen"
    )
    new.add_argument("supervisor", help="as the shop numbers its people")
    new.set_defaults(run=run_supervisor_code)


def run_supervisor_code(args: argparse.Namespace) -> int:
    """Ask for the code twice at a terminal, or read a line of the standard input; print the line for the settings."""
    if sys.stdin.isatty():
        code = getpass.getpass(f"Code of supervisor {args.supervisor}: ")
        if getpass.getpass("The same once more: ") != code:
            print("The two are not the same; nothing was made.", file=sys.stderr)
            return 1
    else:
        code = sys.stdin.readline().rstrip("\r\n")
    hashed = hash_of_code(code, os.urandom(16))
    print("[supervisors]")
    print(f'"{args.supervisor}" = "{hashed}"')
    print(f'# In YAML:  supervisors: {{"{args.supervisor}": "{hashed}"}}')
    return 0
