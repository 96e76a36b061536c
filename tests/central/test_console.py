"""The console's pages: what head office and a partner see, and what their forms do."""

import hashlib
import json
import re
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from central.coalition.registry import load_coalition
from central.coalition.streams import stop_stream
from central.console.base import Console
from central.console.console import console_pages
from central.console.format import age, count, money
from central.database.tables import audit, card, flag, period, statement, stream
from central.login import Logins, create_user
from central.members.members import create_account
from central.ports import reading, writing
from central.worklist.worklist import raise_alarm, raise_flags
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from tests.central.settling import NOW, TILLS, SmallCentre, sale

PASSWORD = "a long enough one"


@pytest.fixture
def centre(central_url: str) -> Iterator[SmallCentre]:
    made = SmallCentre(central_url)
    made.book(sale("C", "C-1", earned=1_002))
    made.book(sale("D", "D-1", spent=1_000))
    yield made
    made.engine.dispose()


@pytest.fixture
def app(centre: SmallCentre) -> Flask:
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    for login, role, partner in (("ana", "head_office", ""), ("finn", "partner_finance", "C")):
        create_user(
            centre.engine, now_ms=centre.clock.now_ms, randomness=centre.randomness,
            login=login, password=PASSWORD, role=role, partner_id=partner, hasher=quick,
        )  # fmt: skip
    logins = Logins(centre.engine, centre.clock, centre.randomness, quick)
    made = Flask("test")
    made.register_blueprint(console_pages(Console(centre.engine, centre.clock, centre.randomness, logins, False)))
    return made


def token_in(page: str) -> str:
    return re.search(r'name="csrf" value="(\w+)"', page)[1]


def signed_in(app: Flask, login: str) -> FlaskClient:
    client = app.test_client()
    token = token_in(client.get("/console/login").get_data(as_text=True))
    client.post("/console/login", data={"login": login, "password": PASSWORD, "csrf": token})
    return client


@pytest.fixture
def ana(app: Flask) -> FlaskClient:
    return signed_in(app, "ana")


@pytest.fixture
def finn(app: Flask) -> FlaskClient:
    return signed_in(app, "finn")


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(f"/console{path}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def words(html: str) -> str:
    """The text of a page with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def send(client: FlaskClient, path: str, **fields: str):
    token = token_in(client.get("/console/").get_data(as_text=True))
    return client.post(f"/console{path}", data={"csrf": token, **fields})


def find_uncovered(centre: SmallCentre, note: str = "points") -> EventRef:
    of = EventRef(till_id=TILLS["D"], epoch=1, seq=1)
    about = {of: {"receipt_id": "D-1", "store_id": "D-1", "partner_id": "D", "business_date": "2026-11-03",
                  "account_id": 7}}  # fmt: skip
    with writing(centre.engine) as tx:
        raise_flags(tx, [Flag(of=of, cause="uncovered", figures={"asked": 1_500, note: 1_000})], about, NOW - 7_200_000)
    return of


FINDING = f"/worklist/{TILLS['D']}/1/1/uncovered/0"


def test_the_overview_shows_positions_that_sum_to_zero_with_the_operator(ana: FlaskClient) -> None:
    shown = words(page(ana, "/"))
    assert "Cobalt Fuel 10.71" in shown
    assert "Dune &amp; Sons 9.40" in shown
    assert "Operator 1.31" in shown
    assert "Both sides 10.71 10.71" in shown


def test_the_overview_shows_each_till_with_what_is_missing(centre: SmallCentre, ana: FlaskClient) -> None:
    with writing(centre.engine) as tx:
        here = stream.c.till_id == TILLS["D"]
        tx.execute(stream.update().where(here).values(announced_seq=4, backlog=2, heard_at_ms=NOW - 5 * 60_000))
        stop_stream(tx, TILLS["A"], 1, "stream.forked")
    shown = words(page(ana, "/"))
    assert "Lane D Dune &amp; Sons Main Street Dune &amp; Sons active 5 min 1 2 3 – –" in shown
    with writing(centre.engine) as tx:
        said = '{"oldest_unsent_s": 10800, "disk_free_mb": 12345}'
        tx.execute(stream.update().where(here).values(about=said))
    assert "active 5 min 1 2 for 3 h 3 – 12.3 GB" in words(page(ana, "/"))
    with writing(centre.engine) as tx:
        tx.execute(stream.update().where(here).values(backlog=0))
    assert "active 5 min 1 – 3 – 12.3 GB" in words(page(ana, "/"))
    assert "Lane A Alder Foods Main Street Alder Foods suspended stream: forked never" in shown


def test_the_overview_counts_the_worklist_by_cause_with_its_age(centre: SmallCentre, ana: FlaskClient) -> None:
    assert "Everything adds up" in words(page(ana, "/"))
    find_uncovered(centre)
    assert "1 uncovered oldest 2 h" in words(page(ana, "/"))


def test_a_row_of_the_worklist_shows_its_event_its_figures_and_why(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre)
    assert "D-1" in page(ana, "/worklist?cause=uncovered")
    shown = words(page(ana, FINDING))
    assert "More points were spent than the account&#39;s lots held" in shown
    assert "asked 1,500" in shown
    assert "0 earned, 0 spent" in shown
    assert "available redeemed 1,000 point Cobalt Fuel for ever Dune &amp; Sons" in shown


def test_figures_of_both_sides_stand_beside_each_other(centre: SmallCentre, ana: FlaskClient) -> None:
    of = EventRef(till_id=TILLS["D"], epoch=1, seq=1)
    figures = {"till_net_minor": 500, "centre_net_minor": 450, "till_only": 3}
    with writing(centre.engine) as tx:
        raise_flags(tx, [Flag(of=of, cause="close_differs", figures=figures)], {}, NOW)
    shown = words(page(ana, f"/worklist/{TILLS['D']}/1/1/close_differs/0"))
    assert "net 5.00 4.50" in shown
    assert "till only 3" in shown


def test_settling_a_row_keeps_the_note_and_who_wrote_it(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre)
    assert send(ana, FINDING, note="Line was down; the member repaid it.").status_code == 303
    with reading(centre.engine) as tx:
        row = tx.execute(select(flag)).one()
        noted = tx.execute(select(audit)).one()
    assert (row.state, row.settled_by, row.note) == ("settled", "ana", "Line was down; the member repaid it.")
    assert (noted.action, noted.about) == ("worklist.settled", f"{TILLS['D']}/1/1")
    assert "the member repaid it" in page(ana, "/worklist?state=settled")


def test_one_key_gives_a_forgotten_card_to_its_member(centre: SmallCentre, ana: FlaskClient, finn: FlaskClient) -> None:
    of, token = EventRef(till_id=TILLS["D"], epoch=1, seq=1), "5f" * 16
    with writing(centre.engine) as tx:
        member = create_account(tx, centre.randomness, NOW)
        figures: dict[str, int | str] = {"account_id": member, "card_token": token}
        raise_flags(tx, [Flag(of=of, cause="card_forgotten", figures=figures)], {}, NOW)
    row = f"/worklist/{TILLS['D']}/1/1/card_forgotten/0"
    shown = page(ana, row)
    assert "The card is the member" in words(shown) and token in shown
    assert re.search(r"<button[^>]*autofocus", shown)
    find_uncovered(centre)
    assert "autofocus" not in page(ana, FINDING)
    assert send(finn, f"{row}/give").status_code == 403
    assert send(ana, f"{row}/give").status_code == 303
    with reading(centre.engine) as tx:
        assert tx.execute(select(card.c.account_id).where(card.c.card_token == token)).scalar() == member
        assert tx.execute(select(audit.c.action)).scalars().all()[-1] == "worklist.card_given"
    assert "the card is the member" in page(ana, row)
    assert send(ana, f"{row}/give").status_code == 404


def test_a_row_cannot_be_settled_without_a_note_or_twice(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre)
    assert send(ana, FINDING, note="  ").status_code == 400
    assert send(ana, FINDING, note="once").status_code == 303
    assert send(ana, FINDING, note="twice").status_code == 404


def test_a_settled_row_can_be_opened_again_and_keeps_its_note(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre)
    send(ana, FINDING, note="a mistake")
    assert send(ana, FINDING + "/reopen").status_code == 303
    assert send(ana, FINDING, note="the right reason").status_code == 303


def test_an_alarm_about_a_till_has_a_page_too(centre: SmallCentre, ana: FlaskClient) -> None:
    with writing(centre.engine) as tx:
        raise_alarm(tx, "sync.clone", TILLS["A"], NOW)
        raise_alarm(tx, "sync.clone", TILLS["A"], NOW + 60_000)
    shown = words(page(ana, f"/worklist/{TILLS['A']}/0/0/sync.clone/0"))
    assert "sync: clone" in shown.lower()
    assert "2 times" in shown


def test_what_tills_sent_is_text_and_never_markup(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre, note="<script>alert(1)</script>")
    html = page(ana, FINDING)
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def close(client: FlaskClient):
    return send(client, "/periods/1/close", through="2026-11-30", sure="yes")


def test_head_office_closes_a_period_from_its_page(centre: SmallCentre, ana: FlaskClient) -> None:
    shown = words(page(ana, "/periods/1"))
    assert "Cobalt Fuel Advance Operator C1 1,002 4,750 4.76" in shown
    assert close(ana).status_code == 303
    shown = words(page(ana, "/periods/1"))
    assert "Cobalt Fuel Operator 10.71 due" in shown
    assert "Operator Dune &amp; Sons 9.40 due" in shown
    assert "Period 2" in words(page(ana, "/periods"))
    with reading(centre.engine) as tx:
        assert tx.execute(select(audit.c.action)).scalar_one() == "period.closed"


@pytest.mark.parametrize("fields", [{"through": "2026-11-30"}, {"through": "soon", "sure": "yes"}, {"sure": "yes"}])
def test_a_period_stays_open_unless_its_form_is_whole(centre: SmallCentre, ana: FlaskClient, fields: dict) -> None:
    assert send(ana, "/periods/1/close", **fields).status_code == 400
    with reading(centre.engine) as tx:
        assert tx.execute(select(period.c.state)).scalars().all() == ["open"]


def test_a_statement_foots_and_names_its_hashes(centre: SmallCentre, ana: FlaskClient) -> None:
    close(ana)
    shown = words(page(ana, "/statements/1:C"))
    assert "Owes the operator 10.71 EUR" in shown
    assert "Sum of fee 1.20 Sum of advance 4.76 Sum of funding 4.75 Total in EUR 10.71" in shown
    assert f"{TILLS['C']} 1 1 1" in shown
    with reading(centre.engine) as tx:
        sha256 = tx.execute(select(statement.c.sha256).where(statement.c.partner_id == "C")).scalar_one()
    assert sha256 in shown


def test_a_statement_comes_as_the_very_file_that_was_hashed(ana: FlaskClient) -> None:
    close(ana)
    answer = ana.get("/console/statements/1:C/json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="statement-1-C.json"'
    assert json.loads(answer.data)["total_minor"] == 1_071
    assert hashlib.sha256(answer.data).hexdigest() in page(ana, "/statements/1:C")


def test_a_statement_comes_as_csv_and_with_its_receipts(ana: FlaskClient) -> None:
    close(ana)
    assert "1:C,C,1,,total,,,,,,,10.71,EUR," in ana.get("/console/statements/1:C/csv").text
    assert "10,71" in ana.get("/console/statements/1:C/csv-comma").text
    annex = ana.get("/console/statements/1:C/annex")
    assert "C-1" in annex.text
    assert hashlib.sha256(annex.data).hexdigest() in page(ana, "/statements/1:C")
    assert ana.get("/console/statements/1:C/pdf").status_code == 404


def test_a_partner_sees_its_own_statement_and_no_other(ana: FlaskClient, finn: FlaskClient) -> None:
    close(ana)
    assert "10.71" in page(finn, "/statements/1:C")
    for path in ("/statements/1:D", "/statements/1:D/json", "/statements/1:D/csv", "/statements/1:D/annex"):
        assert finn.get(f"/console{path}").status_code == 403


def test_a_partner_sees_its_own_figures_and_tills_only(ana: FlaskClient, finn: FlaskClient) -> None:
    for path in ("/", "/periods/1"):
        shown = words(page(finn, path))
        assert "10.71" in shown
        assert "9.40" not in shown
        assert "Operator 1.31" not in shown
    assert "Lane C" in page(finn, "/")
    assert "Lane D" not in page(finn, "/")
    close(ana)
    shown = words(page(finn, "/periods/1"))
    assert "Cobalt Fuel Operator 10.71 due" in shown
    assert "9.40" not in shown


def test_a_partners_account_shows_what_is_withheld_and_what_it_bears(centre: SmallCentre, ana: FlaskClient) -> None:
    # Of C's 1,002 points 1,000 are spent; 10 more at D are covered by 2, and 8 x 9,400 micro are withheld.
    centre.book(sale("D", "D-2", spent=10))
    shown = words(page(ana, "/partners/D"))
    assert "Withheld in suspense:offline 0.08" in shown
    assert "Uncovered D-2 2026-11-03 8 8 0.08 0.00 withheld" in shown
    assert "Suspense:offline Operator D1 8 9,400 0.08" in shown
    answer = ana.get("/console/partners/D/account.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account-D.csv"'
    last = "D,borne,,,uncovered,,,D-2,2026-11-03,8,8,0.08,0.00,EUR,withheld"
    assert answer.get_data(as_text=True).splitlines()[-1] == last
    assert 'href="/console/partners/D"' in page(ana, "/")
    assert ana.get("/console/partners/Z").status_code == 404


def test_money_that_moved_is_written_down_once_and_lowers_what_is_unpaid(ana: FlaskClient, finn: FlaskClient) -> None:
    close(ana)
    shown = page(ana, "/partners/C")
    assert "Nothing was written down yet" in shown
    (entry_id,) = re.findall(r'name="entry_id" value="([0-9a-f]{32})"', shown)
    form = {"entry_id": entry_id, "kind": "payment", "amount": "10,00", "on": "2026-12-04", "period": "1"}
    for _ in range(2):
        assert send(ana, "/partners/C/cash", **form, reference="TR-1").status_code == 303
    shown = words(page(ana, "/partners/C"))
    assert "2026-12-04 payment 1 TR-1 10.00" in shown
    assert shown.count("TR-1") == 1
    assert "Billed and not paid 0.71" in shown
    assert "Cobalt Fuel Operator 10.71 due" in words(page(ana, "/periods/1"))
    more = {**form, "entry_id": "e2", "amount": "0.71"}
    assert send(ana, "/partners/C/cash", **more).status_code == 303
    assert "Cobalt Fuel Operator 10.71 paid" in words(page(ana, "/periods/1"))
    for wrong in ({"amount": "x"}, {"amount": "0.001"}, {"kind": "gift"}, {"on": "today"}):
        assert send(ana, "/partners/C/cash", **{**more, "entry_id": "e3", **wrong}).status_code == 400
    assert 'name="entry_id"' not in page(finn, "/partners/C")
    assert send(finn, "/partners/C/cash", **{**more, "entry_id": "e4"}).status_code == 403


def test_a_partner_sees_its_own_account_and_no_other(ana: FlaskClient, finn: FlaskClient) -> None:
    assert "Cobalt Fuel" in page(finn, "/partners/C")
    assert finn.get("/console/partners/D").status_code == 403
    assert finn.get("/console/partners/D/account.csv").status_code == 403
    assert finn.get("/console/partners/operator").status_code == 403
    assert "Operator" in page(ana, "/partners/operator")


def test_a_partner_cannot_close_a_period(centre: SmallCentre, finn: FlaskClient) -> None:
    assert close(finn).status_code == 403
    with reading(centre.engine) as tx:
        assert tx.execute(select(period.c.state)).scalars().all() == ["open"]


def test_a_page_that_is_not_there_says_so(ana: FlaskClient) -> None:
    for path in ("/periods/9", "/statements/9:Z", f"/worklist/{TILLS['A']}/1/1/nothing/0"):
        answer = ana.get(f"/console{path}")
        assert answer.status_code == 404
        assert "This did not work" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/worklist?cause=a%00b", "/statements/1%00", "/periods/9007199254740993", "/worklist/t/1/1/c/9999999999999999999"],
)
def test_what_no_database_can_be_asked_is_not_found(ana: FlaskClient, path: str) -> None:
    answer = ana.get(f"/console{path}")
    assert answer.status_code == 404
    assert "console.not_askable" in answer.get_data(as_text=True)


def test_a_note_with_a_character_that_cannot_be_kept_is_refused(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre)
    assert send(ana, FINDING, note="a\0b").status_code == 404
    with reading(centre.engine) as tx:
        assert tx.execute(select(flag.c.state)).scalar_one() == "open"


def test_a_partner_sees_a_store_from_the_day_it_is_its_own(centre: SmallCentre, finn: FlaskClient) -> None:
    with writing(centre.engine) as tx:
        load_coalition(tx, sold_to_c("2026-12-01"), NOW)
    assert "Lane D" not in page(finn, "/")
    centre.clock.now_ms += 40 * 24 * 3_600_000
    finn = signed_in(finn.application, "finn")
    assert "Lane D" in page(finn, "/")


def sold_to_c(from_on: str) -> dict:
    """The coalition, and D's store sold to C."""
    store = {"store_id": "D-1", "name": "Dune & Sons Main Street", "from_on": from_on}
    return {"currency": "EUR", "partners": [{"partner_id": "C", "name": "Cobalt Fuel", "stores": [store]}]}


def test_pages_run_no_scripts_and_load_nothing_from_elsewhere(ana: FlaskClient) -> None:
    close(ana)
    for path in ("/", "/worklist", "/periods", "/periods/1", "/statements/1:C"):
        html = page(ana, path)
        assert "<script" not in html
        assert "style=" not in html
        assert set(re.findall(r'(?:src|href)="(?!/console|#)([^"]*)"', html)) == set()


def test_every_field_of_a_form_has_a_label(centre: SmallCentre, ana: FlaskClient) -> None:
    find_uncovered(centre)
    for path in ("/login", "/periods/1", FINDING):
        html = ana.get(f"/console{path}").text
        named = re.findall(r'<(?:input|textarea) id="(\w+)"', html)
        assert named
        assert set(named) <= set(re.findall(r'<label for="(\w+)"', html))


def test_money_counts_and_ages_are_written_as_people_read_them() -> None:
    assert [money(1_234_567, "EUR"), money(-5, "EUR"), money(-1_234_567, "JPY"), money(1_500, "KWD")] == [
        "12,345.67",
        "−0.05",
        "−1,234,567",
        "1.500",
    ]
    assert [count(1_002), count(-1_002)] == ["1,002", "−1,002"]
    ages = [age(ms) for ms in (59_000, 119 * 60_000, 120 * 60_000, 47 * 3_600_000, 48 * 3_600_000)]
    assert ages == ["just now", "119 min", "2 h", "47 h", "2 days"]
