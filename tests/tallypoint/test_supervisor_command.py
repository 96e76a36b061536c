"""A supervisor's code for the settings of a till."""

import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

from edge.sale.approving import read_hash


def made(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tallypoint.cli", "edge", "supervisor-code", "91"]
    root = Path(__file__).parents[2]
    return subprocess.run(command, input=code, capture_output=True, text=True, check=False, cwd=root)


def test_the_line_for_the_settings_knows_the_code_and_does_not_show_it() -> None:
    first, second = made("badge-0091\n"), made("badge-0091\n")
    assert (first.returncode, first.stderr) == (0, "")
    kept = tomllib.loads(first.stdout)["supervisors"]["91"]
    assert read_hash(kept).is_of("badge-0091")
    assert not read_hash(kept).is_of("badge-0092")
    assert "badge-0091" not in first.stdout
    in_yaml = yaml.safe_load(first.stdout.split("# In YAML:")[1])
    assert in_yaml == {"supervisors": {"91": kept}}
    assert first.stdout != second.stdout  # each has a salt of its own


def test_a_code_too_short_to_be_one_is_refused() -> None:
    done = made("123\n")
    assert done.returncode != 0
    assert "at least 4 characters" in done.stdout + done.stderr
