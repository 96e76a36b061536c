"""How head office says that it is: on its console's page, and in figures for Prometheus."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask

from central.backups.backups import LAST_BACKUP
from central.coalition.streams import stop_stream
from central.console.base import Console
from central.console.console import console_pages
from central.database.rows import put
from central.database.tables import setting
from central.login import Logins, create_user
from central.ports import Settings, reading, writing
from central.upkeep.chore_notes import Ran, note_runs
from central.upkeep.doctor import examine
from central.upkeep.metrics import metrics
from central.worklist.worklist import raise_alarm
from sync.wire import BATCH_PATH
from tests.central.test_console import PASSWORD, signed_in
from tests.central.tills import NOW, Centre, CentreClock


def figures(centre: Centre, folder: Path, now_ms: int = NOW) -> dict[str, int]:
    with reading(centre.engine) as tx:
        text = metrics(tx, folder, now_ms)
    # Prometheus wants each family's samples in one piece, and told of once.
    types = re.findall(r"^# TYPE (\w+)", text, flags=re.MULTILINE)
    assert len(types) == len(set(types))
    return {line.rsplit(" ", 1)[0].removeprefix("tallypoint_centre_"): int(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if not line.startswith("#")}  # fmt: skip


def test_figures_tell_of_chores_backups_worklist_tills_and_room(centre: Centre, tmp_path: Path) -> None:
    till = centre.till()
    label = f'{{till="{till.identity.till_id}",label="Lane"}}'
    till.sell("R1", 1_000)
    till.send(till.batch(clock_error_ms=-4_500))
    till.sent = 1
    with writing(centre.engine) as tx:
        note_runs(tx, {("seal", "done"): Ran(runs=4, last_ms=NOW - 90_000)})
        note_runs(tx, {("seal", "failed"): Ran(runs=1, last_ms=NOW - 1_000, trouble="OSError")})
        raise_alarm(tx, "uncovered", "f" * 32, NOW - 3_600_000)
        put(tx, setting, [{"name": LAST_BACKUP, "value": str(NOW - 7_200_000)}], {"value": "given"})
    told = figures(centre, tmp_path)
    assert told['chore_age_seconds{chore="seal"}'] == 90
    assert told['chore_failing{chore="seal"}'] == 1
    assert told['chore_runs_total{chore="seal",outcome="done"}'] == 4
    assert told['worklist_oldest_seconds{cause="uncovered"}'] == 3_600
    assert told["backup_age_seconds"] == 7_200
    assert told["disk_free_bytes"] > 0
    assert told[f"till_clock_error_milliseconds{label}"] == -4_500
    assert (told[f"till_stopped{label}"], told[f"till_leases_rest{label}"], told["quarantined"]) == (0, 0, 0)
    assert f"till_disk_free_bytes{label}" not in told
    with writing(centre.engine) as tx:
        stop_stream(tx, till.identity.till_id, 1, "sync.fork")
    till.sell("R2", 1_000)
    till.hello(oldest_unsent_s=75, disk_free_mb=99)
    centre.session.answer(centre.now, BATCH_PATH, till.batch(), centre.store)
    told = figures(centre, tmp_path)
    assert (told[f"till_stopped{label}"], told["quarantined"]) == (1, 1)
    assert (told[f"till_oldest_unsent_seconds{label}"], told[f"till_disk_free_bytes{label}"]) == (75, 99_000_000)


@pytest.fixture
def app(centre: Centre, tmp_path: Path) -> Iterator[Flask]:
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    clock, settings = CentreClock(centre), Settings(data_dir=str(tmp_path))
    for login, role, partner in (("ana", "head_office", ""), ("finn", "partner_finance", "acme")):
        create_user(
            centre.engine, now_ms=NOW, randomness=centre.random, login=login, password=PASSWORD, role=role,
            partner_id=partner, hasher=quick,
        )  # fmt: skip
    logins = Logins(centre.engine, clock, centre.random, quick)
    made = Flask("test")
    console = Console(
        centre.engine, clock, centre.random, logins, False, examine=lambda: examine(settings, centre.engine, NOW)
    )
    made.register_blueprint(console_pages(console))
    yield made


def test_the_page_says_what_is_wrong_and_what_to_do_and_when_chores_ran(app: Flask, centre: Centre) -> None:
    with writing(centre.engine) as tx:
        note_runs(tx, {("seal", "done"): Ran(runs=1, last_ms=NOW - 5 * 60_000)})
        note_runs(tx, {("expiry", "failed"): Ran(runs=1, last_ms=NOW, trouble="OSError: <no room>")})
    page = signed_in(app, "ana").get("/console/health").get_data(as_text=True)
    assert "The chore expiry fails: OSError: &lt;no room&gt;" in page
    assert "tallypoint central serve" in page
    assert "5 min" in page
    assert page.index(">danger<") < page.index(">advice<")


def test_partners_are_shown_nothing_of_it(app: Flask) -> None:
    client = signed_in(app, "finn")
    assert client.get("/console/health").status_code == 403
    assert "/console/health" not in client.get("/console/").get_data(as_text=True)
