"""The command line. Each command is a module with `register`; a trouble ends it with its sentence and its code."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from loyalty.trouble import Fault, Trouble

COMMANDS = {
    "demo": "tallypoint.demo.command",
    "quote": "tallypoint.quote_command",
    "programme": "tallypoint.programme_command",
    "replay": "tallypoint.replay.command",
    "fleet": "tallypoint.fleet.command",
    "settle": "tallypoint.settle.command",
    "receipts": "tallypoint.receipts.command",
    "edge": "tallypoint.edge.command",
    "central": "tallypoint.central.command",
}


class NotInstalled(Fault):
    code = "command.not_installed"


class NotAllowed(Fault):
    code = "command.not_allowed"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 only when nothing is wrong."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except Trouble as trouble:
        if "--json" in words and words[:1] != ["receipts"]:  # whose --json is a file
            print(json.dumps(trouble.problem()))
        print(f"tallypoint: {trouble.say}\n  ({trouble.code})", file=sys.stderr)
        return 3 if isinstance(trouble, Fault) else 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output left, as `head` does; nothing of ours is lost by it.
        sys.stderr.close()
        return 0


def _run(words: Sequence[str]) -> int:
    args = _parser(words).parse_args(words)
    try:
        return int(args.run(args))
    except PermissionError as trouble:
        if trouble.filename is None:
            raise
        raise NotAllowed(
            f"This user may not open {trouble.filename}. Run the command as the service's own user, with `sudo -u` or,"
            " as root, `runuser -u`. Where this is that user, another one ran a command here: give the files back with"
            " `chown`."
        ) from None


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tallypoint",
        description="Loyalty for retail coalitions: a till that keeps working offline, and the centre that settles.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Only the command that was asked for is imported, so that a till needs nothing of the centre.
    asked = next((word for word in argv if word in COMMANDS), None)
    for name, module in COMMANDS.items():
        if asked in (None, name):
            try:
                importlib.import_module(module).register(commands)
            except ModuleNotFoundError as missing:
                if asked:
                    raise NotInstalled(
                        f"`tallypoint {asked}` needs {missing.name}, which is not installed here. A till has the parts"
                        " of EXTRA=till, head office those of EXTRA=central; `make env EXTRA=dev` installs both."
                    ) from None
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
