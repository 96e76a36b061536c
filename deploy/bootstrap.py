"""Make `.venv` with the `tallypoint` command in it, with nothing but the standard library.

    python3 deploy/bootstrap.py [--extra till|central|dev]

Uses the first of these that the machine has: uv; venv with ensurepip; venv and a pip outside it; pip alone. A stamp in
`.venv` says what was put there, so a second run is done at once; an environment that was left half made, was moved, or
no longer starts is made anew. The project itself is not built: one .pth line makes the checkout importable.

Exit status: 0 ready, 1 the packages could not be installed, 2 this machine has no way to make an environment.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
EXTRAS = ("till", "central", "dev")
STAMP = "tallypoint.stamp"
UNFINISHED = "unfinished\n"

# The two lines in front let a path of any length and with spaces start it; Python reads them as a string.
COMMAND = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from tallypoint.cli import main

sys.exit(main())
"""


class Found(NamedTuple):
    """What this machine offers: a uv program, the modules venv and ensurepip, and how to start a pip."""

    uv: str | None
    venv: bool
    ensurepip: bool
    pip: tuple[str, ...]


class Stamp(NamedTuple):
    """What an environment holds. `place`: interpreter and checkout; `content`: hash of the files it was made from."""

    place: str
    content: str


def main(arguments: list[str] | None = None) -> int:
    ask = argparse.ArgumentParser(description="Make .venv with the tallypoint command in it.")
    ask.add_argument("--extra", choices=EXTRAS, default="dev", help="what to install (default: dev, which is all)")
    extra = ask.parse_args(arguments).extra
    refusal = too_old(sys.version_info[:2])
    if refusal:
        print(refusal, file=sys.stderr)
        return 2
    return prepare(ROOT, extra)


def prepare(root: Path, extra: str) -> int:
    """Bring `root/.venv` to what `extra` asks for; the exit status."""
    venv = root / ".venv"
    wanted = stamp_of(root, extra)
    standing = judge(read_stamp(venv), wanted, starts=os.access(venv / "bin" / "python", os.X_OK))
    if standing == "current" and (venv / "bin" / "tallypoint").exists():
        return 0
    ways = ladder(look_around())
    if not ways:
        print("This Python can make no environment. Run this, then try again:", file=sys.stderr)
        print("    apt-get install -y python3-venv", file=sys.stderr)
        return 2
    if standing == "rebuild" or not runs(venv):
        remove(venv)
    for way in ways:
        try:
            fill(root, extra, way, wanted)
        except (OSError, subprocess.CalledProcessError) as trouble:
            print(f"bootstrap: {way} did not succeed: {trouble}", file=sys.stderr)
        else:
            print(f"bootstrap: .venv is ready, made with {way}; start with .venv/bin/tallypoint --help")
            return 0
    print("bootstrap: no way succeeded. See above; most often the package index cannot be reached.", file=sys.stderr)
    return 1


def too_old(version: tuple[int, ...]) -> str | None:
    """The sentence that refuses this interpreter, or None."""
    if version >= OLDEST:
        return None
    have, need = (".".join(map(str, numbers)) for numbers in (version, OLDEST))
    return f"Tallypoint needs Python {need} or newer; this is {have}. Start it with python{need} deploy/bootstrap.py."


def ladder(found: Found) -> list[str]:
    """The ways open to us, the best first."""
    ways = {
        "uv": found.uv is not None,
        "venv": found.venv and found.ensurepip,
        "venv and an outside pip": found.venv and bool(found.pip),
        "pip alone": bool(found.pip) and not found.venv,
    }
    return [way for way, is_open in ways.items() if is_open]


def judge(stamp: Stamp | str | None, wanted: Stamp, *, starts: bool) -> str:
    """What to do with the environment that is there: leave it (`current`), install into it (`complete`), or `rebuild`.

    Args:
        stamp: what it says of itself; UNFINISHED after a killed run, None where somebody else made it.
        starts: whether its interpreter is still there.
    """
    if not starts or stamp == UNFINISHED:
        return "rebuild"
    if stamp == wanted:
        return "current"
    if isinstance(stamp, Stamp) and stamp.place != wanted.place:
        return "rebuild"  # its commands start with a path that is no longer ours
    return "complete"


def look_around() -> Found:
    outside = shutil.which("pip3") or shutil.which("pip")
    pip = (sys.executable, "-m", "pip") if importlib.util.find_spec("pip") else (outside,) if outside else ()
    return Found(
        uv=shutil.which("uv"),
        venv=importlib.util.find_spec("venv") is not None,
        ensurepip=importlib.util.find_spec("ensurepip") is not None,
        pip=pip,
    )


def stamp_of(root: Path, extra: str) -> Stamp:
    wanted = requirements(root, extra).read_bytes() + Path(__file__).read_bytes()
    place = f"{sys.version_info[:3]} {sys.implementation.name} {sys.base_prefix} {root}"
    return Stamp(place, f"{extra} {hashlib.sha256(wanted).hexdigest()}")


def read_stamp(venv: Path) -> Stamp | str | None:
    try:
        text = (venv / STAMP).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    place, _, content = text.partition("\n")
    return Stamp(place, content.strip()) if content else UNFINISHED


def fill(root: Path, extra: str, way: str, wanted: Stamp) -> None:
    """Make the environment if there is none, and install. The stamp comes last; a failure leaves what was there."""
    venv = root / ".venv"
    fresh = not venv.exists()
    earlier = read_stamp(venv)
    venv.mkdir(exist_ok=True)
    write_stamp(venv, UNFINISHED)
    try:
        if fresh:
            make(venv, way)
        # The list is whole. Left to resolve it again, an older pip stops at a newer release of a part with extras.
        run(*installer(venv, way), "--no-deps", "--require-hashes", "-r", str(requirements(root, extra)))
    except (OSError, subprocess.CalledProcessError):
        if fresh:
            remove(venv)
        else:
            write_stamp(venv, earlier)
        raise
    link(root, venv)
    write_stamp(venv, wanted)


def make(venv: Path, way: str) -> None:
    if way == "uv":
        run("uv", "venv", "--quiet", "--allow-existing", "--no-project", "--python", sys.executable, str(venv))
    elif way == "venv":
        run(sys.executable, "-m", "venv", str(venv))
    elif way == "venv and an outside pip":
        run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    else:
        make_bare(venv)


def make_bare(venv: Path) -> None:
    """An environment by hand, for an interpreter without the venv module. Source: PEP 405."""
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(base)
    (venv / "bin" / "python3").symlink_to("python")
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n", encoding="utf-8")
    site_packages(venv).mkdir(parents=True)


def installer(venv: Path, way: str) -> tuple[str, ...]:
    """The command that installs into `venv`, all but what to install."""
    python = str(venv / "bin" / "python")
    if way == "uv":
        return ("uv", "pip", "install", "--quiet", "--python", python)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    if way == "venv":
        return (python, "-m", "pip", "install", *quiet)
    return (*look_around().pip, "--python", python, "install", *quiet)


def link(root: Path, venv: Path) -> None:
    """Make the checkout importable, and the command that starts it."""
    (site_packages(venv) / "_tallypoint.pth").write_text(f"{root}\n", encoding="utf-8")
    command = venv / "bin" / "tallypoint"
    command.write_text(COMMAND.format(python=venv / "bin" / "python"), encoding="utf-8")
    command.chmod(0o755)


def site_packages(venv: Path) -> Path:
    return venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def requirements(root: Path, extra: str) -> Path:
    return root / f"requirements-{extra}.txt"


def runs(venv: Path) -> bool:
    """Whether the environment's interpreter starts and is of our own version."""
    python = venv / "bin" / "python"
    ask = "import sys; print(sys.version_info[:3])"
    try:
        answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.strip() == str(sys.version_info[:3])


def write_stamp(venv: Path, stamp: Stamp | str | None) -> None:
    path = venv / STAMP
    if stamp is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(stamp if isinstance(stamp, str) else f"{stamp.place}\n{stamp.content}\n", encoding="utf-8")


def remove(venv: Path) -> None:
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)


def run(*command: str) -> None:
    print("bootstrap: " + shlex.join(command), flush=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
