"""Settings and clocks."""

from pathlib import Path

import pytest

from edge.ports import BadSettings, Instant, SystemClock, elapsed_ms, read_settings


def instant(mono_ms: int, wall_ms: int, boot: str = "a") -> Instant:
    return Instant(mono_ms=mono_ms, wall_ms=wall_ms, boot=boot)


def test_the_environment_overrules_the_file(tmp_path: Path) -> None:
    file = tmp_path / "till.toml"
    file.write_text('data_dir = "data"\nlisten_port = 9000\nshop_address = ["High Street 1", "Anytown"]\n')
    settings = read_settings(file, {"TALLYPOINT_TILL_LISTEN_PORT": "9001", "TALLYPOINT_TILL_LANGUAGE": "pl"})
    assert (settings.data_dir, settings.listen_port, settings.language) == ("data", 9001, "pl")
    assert settings.shop_address == ("High Street 1", "Anytown")


def test_settings_come_from_yaml_or_from_the_environment_alone(tmp_path: Path) -> None:
    file = tmp_path / "till.yaml"
    file.write_text("data_dir: data\noffset_min: -180\n")
    assert read_settings(file, {}).offset_min == -180
    environment = {"TALLYPOINT_TILL_DATA_DIR": "d", "TALLYPOINT_TILL_SHOP_ADDRESS": "High Street 1|Anytown"}
    assert read_settings(None, environment).shop_address == ("High Street 1", "Anytown")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "data_dir"),
        ("data_dir: d\nlisten_prot: 9", "listen_prot"),
        ("data_dir: d\nlisten_port: many", "listen_port"),
        ("data_dir: d\nlisten_port: 99999", "1 to 65535"),
        ("data_dir: d\nlisten_host: 0.0.0.0", "pos_token"),
        ("data_dir: d\ncentre_url: head office", "https://"),
        ("data_dir: d\nlanguage: xx", "language"),
        ("data_dir: d\noffset_min: 5000", "offset_min"),
        ("data_dir: [", "not TOML or YAML"),
        ("just words", "names and values"),
    ],
)
def test_a_setting_that_cannot_be_says_which_one(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "till.yaml"
    file.write_text(text)
    with pytest.raises(BadSettings, match=says):
        read_settings(file, {})


def test_a_variable_that_is_misspelt_is_no_setting_in_silence() -> None:
    with pytest.raises(BadSettings, match=r"TALLYPOINT_TILL_POS_TOKN\. Correct its name"):
        read_settings(None, {"TALLYPOINT_TILL_DATA_DIR": "d", "TALLYPOINT_TILL_POS_TOKN": "secret", "PATH": "x"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.toml cannot be read"):
        read_settings(tmp_path / "nowhere.toml", {})


def test_settings_show_no_token() -> None:
    settings = read_settings(None, {"TALLYPOINT_TILL_DATA_DIR": "d", "TALLYPOINT_TILL_POS_TOKEN": "secret"})
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("since", "now", "at_least_ms", "elapsed"),
    [
        (instant(100, 5_000), instant(400, 1), 0, 300),  # within a boot the wall clock says nothing
        (instant(100, 5_000), instant(7, 5_900, "b"), 0, 900),
        (instant(100, 5_000), instant(7, 5_900, "b"), 6_500, 1_500),
        (instant(100, 5_000), instant(7, 4_999, "b"), 6_500, None),
    ],
)
def test_time_since_is_monotonic_within_a_boot_and_never_too_short_after_one(
    since: Instant, now: Instant, at_least_ms: int, elapsed: int | None
) -> None:
    assert elapsed_ms(since, now, at_least_wall_ms=at_least_ms) == elapsed


def test_the_machines_clock_goes_on_and_names_its_boot() -> None:
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert second.mono_ms >= first.mono_ms
    assert first.boot == second.boot != ""
    assert first.wall_ms > 1_700_000_000_000
