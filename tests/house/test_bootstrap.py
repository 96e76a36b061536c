"""deploy/bootstrap.py: which way it takes, what it keeps, and environments really made, all without a network."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[2] / "deploy" / "bootstrap.py"
PIP = ("/usr/bin/pip3",)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load(SOURCE)
HERE = bootstrap.Stamp("3.11 here", "dev 1")


@pytest.mark.parametrize(
    ("uv", "venv", "ensurepip", "pip", "ways"),
    [
        ("/bin/uv", True, True, PIP, ["uv", "venv", "venv and an outside pip"]),
        (None, True, True, (), ["venv"]),
        (None, True, False, PIP, ["venv and an outside pip"]),
        (None, False, False, PIP, ["pip alone"]),
        ("/bin/uv", False, False, (), ["uv"]),
        (None, True, False, (), []),
        (None, False, False, (), []),
    ],
)
def test_the_best_way_that_the_machine_has_comes_first(
    uv: str | None, venv: bool, ensurepip: bool, pip: tuple[str, ...], ways: list[str]
) -> None:
    assert bootstrap.ladder(bootstrap.Found(uv=uv, venv=venv, ensurepip=ensurepip, pip=pip)) == ways


@pytest.mark.parametrize(
    ("stamp", "starts", "verdict"),
    [
        (HERE, True, "current"),
        (HERE, False, "rebuild"),
        (bootstrap.UNFINISHED, True, "rebuild"),
        (bootstrap.Stamp("3.11 elsewhere", "dev 1"), True, "rebuild"),
        (bootstrap.Stamp("3.11 here", "dev 0"), True, "complete"),
        (None, True, "complete"),
        (None, False, "rebuild"),
    ],
)
def test_an_environment_is_kept_completed_or_made_anew(stamp: object, starts: bool, verdict: str) -> None:
    assert bootstrap.judge(stamp, HERE, starts=starts) == verdict


def test_an_old_python_is_refused_in_a_sentence() -> None:
    assert bootstrap.too_old((3, 10)) == (
        "Tallypoint needs Python 3.11 or newer; this is 3.10. Start it with python3.11 deploy/bootstrap.py."
    )
    assert bootstrap.too_old((3, 11)) is None
    assert bootstrap.too_old((4, 0)) is None


def test_an_old_python_can_read_the_file_as_far_as_that_sentence() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"), feature_version=(3, 7))
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {
        "__future__", "argparse", "hashlib", "importlib.util", "os", "pathlib", "shlex", "shutil", "subprocess", "sys",
        "typing",
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small Tallypoint that needs no package, in a folder with a space in its name."""
    root = tmp_path / "a shop"
    for folder in ("deploy", "tallypoint"):
        (root / folder).mkdir(parents=True)
    shutil.copy(SOURCE, root / "deploy")
    (root / "requirements-till.txt").write_text("")
    (root / "tallypoint" / "__init__.py").write_text("")
    (root / "tallypoint" / "cli.py").write_text("import sys\ndef main():\n    print(*sys.argv[1:])\n    return 3\n")
    return root


# A stand-in for uv that needs no network: makes an environment without pip, and installs nothing.
QUICK_UV = f"""#!/bin/sh
if [ "$1" = venv ]; then for last; do :; done; exec '{sys.executable}' -m venv --without-pip "$last"; fi
"""
BROKEN_UV = "#!/bin/sh\necho no network >&2\nexit 1\n"


def start(root: Path, *, uv: str = QUICK_UV) -> subprocess.CompletedProcess[str]:
    tools = root.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uv").write_text(uv)
    (tools / "uv").chmod(0o755)
    command = [sys.executable, root / "deploy" / "bootstrap.py", "--extra", "till"]
    environment = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def say_hello(root: Path) -> tuple[int, str]:
    command = [root / ".venv" / "bin" / "tallypoint", "hello", "two words"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


WORKS = (3, "hello two words\n")


def test_an_environment_has_the_command_and_a_second_run_does_nothing(checkout: Path) -> None:
    first = start(checkout)
    assert (first.returncode, first.stderr) == (0, "")
    assert say_hello(checkout) == WORKS
    again = start(checkout)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_changed_list_is_installed_into_the_environment_that_is_there(checkout: Path) -> None:
    start(checkout)
    (checkout / ".venv" / "kept").write_text("")
    (checkout / "requirements-till.txt").write_text("# a change\n")
    assert "ready" in start(checkout).stdout
    assert (checkout / ".venv" / "kept").exists()
    assert start(checkout).stdout == ""


def break_interpreter(venv: Path) -> None:
    for name in ("python", "python3", f"python3.{sys.version_info[1]}"):
        (venv / "bin" / name).unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python3")


def break_half_way(venv: Path) -> None:
    (venv / bootstrap.STAMP).write_text(bootstrap.UNFINISHED)


def break_all(venv: Path) -> None:
    shutil.rmtree(venv)
    venv.write_text("a file where the folder was")


@pytest.mark.parametrize("harm", [break_interpreter, break_half_way, break_all])
def test_a_broken_environment_is_made_anew(checkout: Path, harm: object) -> None:
    start(checkout)
    (checkout / ".venv" / "left over").write_text("")
    harm(checkout / ".venv")  # type: ignore[operator]
    assert start(checkout).returncode == 0
    assert not (checkout / ".venv" / "left over").exists()
    assert say_hello(checkout) == WORKS


def test_a_moved_checkout_makes_its_environment_anew(checkout: Path) -> None:
    start(checkout)
    moved = checkout.rename(checkout.parent / "another shop")
    assert start(moved).returncode == 0
    assert say_hello(moved) == WORKS


@pytest.mark.parametrize(
    ("found", "way"),
    [
        (bootstrap.Found(None, True, True, ()), "venv"),
        (bootstrap.Found(None, True, False, (sys.executable, "-m", "pip")), "venv and an outside pip"),
        (bootstrap.Found(None, False, False, (sys.executable, "-m", "pip")), "pip alone"),
    ],
)
def test_each_way_of_pip_makes_a_working_environment(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], found: object, way: str
) -> None:
    monkeypatch.setattr(bootstrap, "look_around", lambda: found)
    assert bootstrap.prepare(checkout, "till") == 0
    assert f"made with {way};" in capfd.readouterr().out
    assert say_hello(checkout) == WORKS


def test_a_way_that_does_not_succeed_gives_way_to_the_next(checkout: Path) -> None:
    done = start(checkout, uv=BROKEN_UV)
    assert done.returncode == 0
    assert "bootstrap: uv did not succeed" in done.stderr
    assert say_hello(checkout) == WORKS


def test_what_worked_still_works_after_an_install_that_did_not_succeed(checkout: Path) -> None:
    start(checkout)
    (checkout / "requirements-till.txt").write_text("flask==3.1.3\n")  # without its hash, so refused unasked
    failed = start(checkout, uv=BROKEN_UV)
    assert failed.returncode == 1
    assert "no way succeeded" in failed.stderr
    assert say_hello(checkout) == WORKS
    (checkout / "requirements-till.txt").write_text("")
    assert start(checkout).returncode == 0


def test_a_machine_without_any_way_is_told_the_one_command(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "look_around", lambda: bootstrap.Found(None, True, False, ()))
    assert bootstrap.prepare(checkout, "till") == 2
    assert "apt-get install -y python3-venv" in capsys.readouterr().err
    assert not (checkout / ".venv").exists()
