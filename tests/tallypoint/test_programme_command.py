"""`tallypoint programme check` and `programme schema`, as a shell sees them."""

import json

import pytest

from tallypoint.cli import main

SOUND = "id: p\ncurrency: EUR\npromotions:\n- id: a\n  then: [{kind: percent_off, percent_bp: 1000}]\n"
DOUBTFUL = SOUND.replace("1000", "10")
WRONG = SOUND.replace("1000", "0").replace("currency: EUR", "currency: euro")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "p.yaml"


def check(file, text, *more):
    file.write_text(text)
    return main(["programme", "check", str(file), *more])


def test_a_sound_programme_is_told_with_its_version(file, capsys):
    assert check(file, SOUND) == 0
    told = capsys.readouterr()
    start, version = told.out.strip().rsplit(" ", 1)
    assert (start, told.err) == (f"{file} is sound. Version", "")
    assert len(version) == 64


def test_errors_are_told_by_line_and_counted(file, capsys):
    assert check(file, WRONG) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        f"{file}:2: error: currency: is not an active ISO 4217 code; use three capital letters such as EUR.",
        f"{file}:5: error: percent_bp is 0; write at least 1.",
        f"{file}: 2 errors.",
    ]


def test_a_warning_alone_keeps_nobody_from_publishing(file, capsys):
    assert check(file, DOUBTFUL) == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        f"{file}:5: warning: 10 basis points are 0.10 %; write 1000 if 10 % is meant.",
        f"{file}: 1 warning.",
    ]
    assert told.out.startswith(f"{file} can be read. Version ")


@pytest.mark.parametrize(("text", "status"), [(SOUND, 0), (DOUBTFUL, 1), (WRONG, 1)])
def test_where_strictness_is_asked_for_a_warning_fails_too(file, capsys, text, status):
    assert check(file, text, "--strict") == status
    assert check(file, text, "--strict", "--json") == status


def test_findings_are_printed_as_json_for_other_programs(file, capsys):
    assert check(file, DOUBTFUL, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["version"]) == 64
    assert told["findings"] == [
        {
            "line": 5,
            "path": "$.promotions[0].then[0].percent_bp",
            "rule": "unit_slip",
            "say": "10 basis points are 0.10 %; write 1000 if 10 % is meant.",
            "severity": "warning",
        }
    ]
    assert check(file, WRONG, "--json") == 1
    assert json.loads(capsys.readouterr().out)["version"] == ""


def test_the_schema_is_printed_as_json(capsys):
    assert main(["programme", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$ref"] == "#/$defs/Programme"
