"""`tallypoint programme`: check a document, print its version or its JSON Schema."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from loyalty.programme.check import Finding, check_programme
from loyalty.programme.programme import programme_schema, read_programme
from tallypoint.files import read_text


def register(commands: Any) -> None:
    """Add `programme check` and `programme schema`."""
    programme = commands.add_parser("programme", help="check a programme document, print its JSON Schema")
    actions = programme.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="explain mistakes with line and remedy; exit 1 when there are any")
    check.add_argument("file", type=Path)
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument("--strict", action="store_true", help="exit 1 on warnings too")
    check.set_defaults(run=run_check)
    schema = actions.add_parser("schema", help="print the JSON Schema of the document")
    schema.set_defaults(run=run_schema)


def run_check(args: argparse.Namespace) -> int:
    """Print every finding as `file:line: severity: what, and the remedy`, and how many there are."""
    text = read_text(args.file)
    findings = check_programme(text)
    wrong = any(finding.severity == "error" for finding in findings)
    version = "" if wrong else read_programme(text).version
    if args.json:
        print(json.dumps({"version": version, "findings": msgspec.to_builtins(findings)}, indent=2))
    else:
        for finding in findings:
            print(f"{args.file}:{finding.line}: {finding.severity}: {finding.say}", file=sys.stderr)
        if findings:
            print(f"{args.file}: {_counted(findings)}.", file=sys.stderr)
        if not wrong:
            print(f"{args.file} {'can be read' if findings else 'is sound'}. Version {version}")
    return 1 if wrong or (args.strict and findings) else 0


def run_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema, indented."""
    print(json.dumps(programme_schema(), indent=2))
    return 0


def _counted(findings: Sequence[Finding]) -> str:
    """Such as `2 errors, 1 warning`; what there is none of is left out."""
    counts = [(sum(one.severity == kind for one in findings), kind) for kind in ("error", "warning")]
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for count, kind in counts if count)
