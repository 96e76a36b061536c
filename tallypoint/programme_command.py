"""`tallypoint programme`: check a document, print its version or its JSON Schema."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from loyalty.programme import programme_schema, read_programme
from loyalty.programme_check import check_programme
from tallypoint.files import read_text


def register(commands: Any) -> None:
    """Add `programme check` and `programme schema`."""
    programme = commands.add_parser("programme", help="check a programme document, print its JSON Schema")
    actions = programme.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="explain mistakes with line and remedy; exit 1 when there are any")
    check.add_argument("file", type=Path)
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.set_defaults(run=run_check)
    schema = actions.add_parser("schema", help="print the JSON Schema of the document")
    schema.set_defaults(run=run_schema)


def run_check(args: argparse.Namespace) -> int:
    """Print every finding as `file:line: what, and the remedy`."""
    text = read_text(args.file)
    findings = check_programme(text)
    wrong = [finding for finding in findings if finding.severity == "error"]
    version = "" if wrong else read_programme(text).version
    if args.json:
        print(json.dumps({"version": version, "findings": msgspec.to_builtins(findings)}, indent=2))
        return 1 if wrong else 0
    for finding in findings:
        print(f"{args.file}:{finding.line}: {finding.severity}: {finding.say}", file=sys.stderr)
    if not wrong:
        print(f"{args.file} is sound. Version {version}")
    return 1 if wrong else 0


def run_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema, indented."""
    print(json.dumps(programme_schema(), indent=2))
    return 0
