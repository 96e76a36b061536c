"""The console's forms that ask for corrections: a look at what would move, the request, and trouble by its field."""

import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from central.database import tables as t
from central.ports import writing
from tests.central.office import Office, give
from tests.central.test_console import page, token_in, words
from tests.central.test_console_corrections import (  # noqa: F401  fixtures
    ana,
    anna,
    app,
    bea,
    finn,
    office,
    wanted,
)
from tests.central.test_previews import lease_out
from tests.central.tills import ANNA, BEN, Centre

HEAD = "account,card,issuer,terms,points,last_day\n"


@pytest.fixture
def ben(office: Office) -> int:  # noqa: F811
    return office.centre.member(BEN)


def sent(client: FlaskClient, kind: str, step: str, fields: dict[str, Any]) -> Any:
    token = token_in(client.get("/console/").get_data(as_text=True))
    return client.post(f"/console/corrections/new/{kind}", data={"csrf": token, "step": step, "id": "f1", **fields})


def looked(client: FlaskClient, kind: str, fields: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The words of the preview, and what the form carries on."""
    answer = sent(client, kind, "preview", fields)
    html = answer.get_data(as_text=True)
    assert answer.status_code == 200, words(html)
    shown = html[html.index("What would move</h2>"):]
    hidden = dict(re.findall(r'type="hidden" name="(seen|rows_id)" value="(\w+)"', html))
    return words(shown), {**{name: value for name, value in fields.items() if name != "file"}, **hidden}


def states(office: Office) -> list[tuple[str, str, int, int, int]]:  # noqa: F811
    row = t.correction.c
    return office.rows(select(row.kind, row.state, row.account_id, row.other_id, row.points))  # type: ignore[return-value]


def wrong(html: str, name: str) -> str:
    """What stands beside a field, which says that it is wrong."""
    assert re.search(rf'name="{name}"[^>]*aria-invalid="true" aria-describedby="{name}-wrong"', html), name
    return words(re.search(rf'<p class="wrong" id="{name}-wrong" role="alert">(.*?)</p>', html, re.S)[1])


# A look first


def test_a_transfer_is_looked_at_then_asked_for(
    office: Office, anna: int, ben: int, ana: FlaskClient, bea: FlaskClient  # noqa: F811
) -> None:
    office.done(give(anna, 300))
    fields = {"account_id": str(anna), "other_id": str(ben), "points": "250", "reason": "family", "note": "her son"}
    shown, form = looked(ana, "transfer", fields)
    assert "250 points go from one account to the other" in shown and "Moved acme acme-1 2026-12-31 250" in shown
    assert office.held(ben) == []
    assert sent(ana, "transfer", "ask", form).location == "/console/corrections?state=asked"
    assert states(office)[-1] == ("transfer", "asked", anna, ben, 250)
    assert "You asked for this yourself" in words(page(ana, "/corrections"))
    listed = words(page(bea, "/corrections"))
    assert "Transfer of 250 points" in listed and "Moved acme acme-1 2026-12-31 250" in listed
    office.approve("f1")
    assert office.held(ben) == [("2026-12-31", "acme", 250, 0)]


def test_a_small_merge_is_done_at_once_after_the_look(
    office: Office, anna: int, ben: int, ana: FlaskClient  # noqa: F811
) -> None:
    office.ask(give(anna, 40))
    fields = {"account_id": str(anna), "other_id": str(ben), "reason": "duplicate_member"}
    shown, form = looked(ana, "merge", fields)
    assert "40 points go from one account to the other. The first account is closed; its cards lead to" in shown
    assert sent(ana, "merge", "ask", form).location == "/console/corrections?state=done"
    assert (office.account(anna)[1:], office.held(ben)) == (("closed", ben), [("2026-12-31", "acme", 40, 0)])
    # The same form again, from a browser that lost the answer.
    assert sent(ana, "merge", "ask", form).location == "/console/corrections?state=done"
    assert office.adds_up()


def test_points_at_tills_are_shown_and_stop_a_merge_beside_its_account(
    office: Office, anna: int, ben: int, ana: FlaskClient  # noqa: F811
) -> None:
    office.ask(give(anna, 40))
    lease_out(office, anna, 7)
    fields = {"account_id": str(anna), "other_id": str(ben), "reason": "duplicate_member"}
    shown, form = looked(ana, "merge", fields)
    assert "7 more points are set aside at tills now. Until they are back the accounts cannot be merged" in shown
    answer = sent(ana, "merge", "ask", form)
    assert answer.status_code == 409
    assert "Tills have set 7 points" in wrong(answer.get_data(as_text=True), "account_id")


@pytest.mark.parametrize("change", ["form", "books", "no look"])
def test_what_was_not_looked_at_is_shown_before_it_is_asked_for(
    office: Office, anna: int, ben: int, ana: FlaskClient, change: str  # noqa: F811
) -> None:
    office.ask(give(anna, 40))
    fields = {"account_id": str(anna), "other_id": str(ben), "points": "", "reason": "family"}
    _, form = looked(ana, "transfer", fields)
    if change == "form":
        form["points"] = "39"
    elif change == "books":
        office.ask(give(anna, 5))
    else:
        del form["seen"]
    answer = sent(ana, "transfer", "ask", form)
    shown = words(answer.get_data(as_text=True))
    assert (answer.status_code, "This is not what was shown before" in shown) == (200, True)
    assert {"form": "39 points go", "books": "45 points go", "no look": "40 points go"}[change] in shown
    assert office.held(ben) == []


def test_an_adjustment_can_be_looked_at_or_asked_for_at_once(
    office: Office, anna: int, ana: FlaskClient  # noqa: F811
) -> None:
    shown, form = looked(ana, "adjustment", wanted(anna))
    assert "Given acme acme-1 2026-12-31 40" in shown
    assert office.held(anna) == []
    assert sent(ana, "adjustment", "ask", form).location == f"/console/members/{anna}"
    assert sent(ana, "adjustment", "ask", wanted(anna, id="f2")).location == f"/console/members/{anna}"
    assert office.held(anna) == [("2026-12-31", "acme", 80, 0)]


# An older scheme, a last day


def file(text: str) -> tuple[io.BytesIO, str]:
    return io.BytesIO(text.encode()), "stamps.csv"


def test_an_older_scheme_is_uploaded_looked_at_asked_for_and_approved_by_another(
    office: Office, anna: int, ben: int, ana: FlaskClient, bea: FlaskClient  # noqa: F811
) -> None:
    text = f"{HEAD},{ANNA},acme,acme-1,70,2027-01-31\n{ben},,bolt,bolt-1,9,9999-12-31\n"
    shown, form = looked(ana, "opening", {"scheme": "stamps", "file": file(text)})
    assert "79 points of 2 accounts" in shown
    assert "Given acme acme-1 2027-01-31 70" in shown and "Given bolt bolt-1 for ever 9" in shown
    assert sent(ana, "opening", "ask", form).location == "/console/corrections?state=asked"
    assert office.held(anna) == []
    token = token_in(page(ana, "/"))
    assert ana.post("/console/corrections/f1/approve", data={"csrf": token}).status_code == 403
    listed = words(page(bea, "/corrections"))
    assert "Points of an older scheme, 79 points" in listed and "Scheme stamps Accounts 2" in listed
    assert bea.post("/console/corrections/f1/approve", data={"csrf": token_in(page(bea, "/"))}).status_code == 303
    assert (office.held(anna), office.held(ben)) == (
        [("2027-01-31", "acme", 70, 0)], [("9999-12-31", "bolt", 9, 0)],
    )  # fmt: skip
    assert "stamps" in page(ana, "/corrections?state=done")
    assert office.adds_up()


def test_mistakes_in_a_file_are_said_by_line_beside_it(
    office: Office, anna: int, ana: FlaskClient  # noqa: F811
) -> None:
    text = f"{HEAD}{anna},,acme,acme-1,-7,2027-01-31\n"
    answer = sent(ana, "opening", "preview", {"scheme": "stamps", "file": file(text)})
    assert answer.status_code == 422
    assert "line 2: points must be a whole number above 0" in wrong(answer.get_data(as_text=True), "file")
    answer = sent(ana, "opening", "preview", {"scheme": "stamps"})
    assert wrong(answer.get_data(as_text=True), "file") == "Choose the file with the older scheme&#39;s points."
    assert office.rows(select(t.opening_rows)) == []


def test_another_file_in_the_end_is_shown_first(
    office: Office, anna: int, ana: FlaskClient  # noqa: F811
) -> None:
    text = f"{HEAD}{anna},,acme,acme-1,7,2027-01-31\n"
    _, form = looked(ana, "opening", {"scheme": "stamps", "file": file(text)})
    answer = sent(ana, "opening", "ask", {**form, "file": file(text.replace(",7,", ",9,"))})
    assert "9 points of 1 account." in words(answer.get_data(as_text=True))
    assert states(office) == []


def test_without_a_programme_no_card_can_be_read(centre: Centre, ana: FlaskClient) -> None:  # noqa: F811
    with writing(centre.engine) as tx:
        tx.execute(t.release.delete())
        tx.execute(t.programme.delete())
    answer = sent(ana, "opening", "preview", {"scheme": "stamps", "file": file(HEAD)})
    assert "Publish a programme first" in wrong(answer.get_data(as_text=True), "file")


def test_a_file_as_large_as_one_request_may_be_is_read_and_a_larger_one_is_said_to_be_too_large(
    office: Office, anna: int, app: Flask, ana: FlaskClient  # noqa: F811
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 320 * 1024  # as the service has it for tills
    line = f"{anna},,acme,acme-1,1,2027-01-31\n"
    shown, _ = looked(ana, "opening", {"scheme": "stamps", "file": file(HEAD + line * 12_000)})
    assert "12,000 points of 1 account." in shown
    answer = sent(ana, "opening", "preview", {"scheme": "stamps", "file": file(HEAD + line * 30_000)})
    assert answer.status_code == 413
    assert "`tallypoint central open-balances` takes a larger one" in words(answer.get_data(as_text=True))


def test_a_stranger_may_send_no_more_than_a_till(app: Flask) -> None:  # noqa: F811
    app.config["MAX_CONTENT_LENGTH"] = 320 * 1024
    large = {"csrf": "x", "file": file("x" * 400_000)}
    assert app.test_client().post("/console/corrections/new/opening", data=large).status_code == 413


@pytest.mark.parametrize(
    ("issuer", "listed", "through"),
    [("*", "everybody&#39;s", "2026-03-31"), ("bolt", "bolt", "2026-03-31"), ("acme", "acme", "2026-12-31")],
)
def test_a_last_day_is_looked_at_asked_for_and_approved_by_another(
    office: Office, anna: int, ana: FlaskClient, bea: FlaskClient, issuer: str, listed: str, through: str  # noqa: F811
) -> None:
    office.ask(give(anna, 60, "bolt"))
    shown, form = looked(ana, "ending", {"issuer": issuer, "last_day": "2026-03-31"})
    assert ("Shortened bolt bolt-1 2026-12-31 60" in shown) is (issuer != "acme")
    assert sent(ana, "ending", "ask", form).location == "/console/corrections?state=asked"
    assert f"Whose points {listed} Last day 2026-03-31" in words(page(bea, "/corrections"))
    assert office.held(anna) == [("2026-12-31", "bolt", 60, 0)]
    assert bea.post("/console/corrections/f1/approve", data={"csrf": token_in(page(bea, "/"))}).status_code == 303
    assert office.held(anna) == [(through, "bolt", 60, 0)]


# Trouble beside its field


@pytest.mark.parametrize(
    ("kind", "fields", "name", "says"),
    [
        ("transfer", {"account_id": "x"}, "account_id", "Give the number of the account"),
        ("transfer", {"other_id": ""}, "other_id", "Give the number of the account"),
        ("transfer", {"other_id": "7"}, "other_id", "There is no account 7"),
        ("transfer", {"other_id": "{anna}"}, "other_id", "Both accounts are the same"),
        ("transfer", {"points": "41"}, "points", "has 40 points that can be spent"),
        ("transfer", {"points": "many"}, "points", "whole number above 0"),
        ("transfer", {"reason": "because"}, "reason", "give one of lost_card, family"),
        ("transfer", {"note": "x" * 2_001}, "note", "2000 characters"),
        ("merge", {"account_id": "7", "reason": "family"}, "account_id", "There is no account 7"),
        ("adjustment", {"points": "1001", "reason": "goodwill", "issuer": "acme"}, "points", "may move 1000 points"),
        ("adjustment", {"points": "5", "reason": "goodwill"}, "issuer", "Say whose points are given"),
        ("ending", {"last_day": "soon"}, "last_day", "Name the last valid day as a date"),
        ("ending", {"last_day": "2026-03-02"}, "last_day", "is not ahead"),
        ("ending", {"last_day": "2026-03-31", "issuer": "nobody"}, "issuer", "There is no partner nobody"),
    ],
)
def test_trouble_stands_beside_its_field_and_the_form_keeps_what_was_filled_in(
    office: Office, anna: int, ben: int, ana: FlaskClient,  # noqa: F811
    kind: str, fields: dict[str, str], name: str, says: str,
) -> None:  # fmt: skip
    office.ask(give(anna, 40))
    usual = {"account_id": str(anna), "other_id": str(ben), "reason": "family", "note": "as promised"}
    told = {**usual, **{name: value.format(anna=anna) for name, value in fields.items()}}
    answer = sent(ana, kind, "ask" if kind == "adjustment" else "preview", told)
    html = answer.get_data(as_text=True)
    assert 400 <= answer.status_code < 500
    assert says in wrong(html, name)
    assert html.count('class="wrong"') == 1
    assert told["note"][:11] in html
    assert len(states(office)) == 1


def test_a_form_without_an_id_says_so_above(office: Office, anna: int, ben: int, ana: FlaskClient) -> None:  # noqa: F811
    answer = sent(ana, "merge", "ask", {"id": "", "account_id": str(anna), "other_id": str(ben)})
    assert "This form has no id; load the page again." in words(answer.get_data(as_text=True))


# Who may


@pytest.mark.parametrize("kind", ["transfer", "merge", "opening", "ending"])
def test_people_of_partners_ask_for_none_of_these(finn: FlaskClient, kind: str) -> None:  # noqa: F811
    assert finn.get(f"/console/corrections/new/{kind}").status_code == 403
    assert sent(finn, kind, "ask", {}).status_code == 403
    assert f"/corrections/new/{kind}" not in page(finn, "/corrections")


def test_people_of_partners_are_shown_nothing_of_an_account(
    office: Office, anna: int, finn: FlaskClient  # noqa: F811
) -> None:
    office.ask(give(anna, 40))
    token = token_in(page(finn, "/"))
    form = {"csrf": token, "step": "preview", **wanted(anna, issuer="bolt", seen="x")}
    answer = finn.post("/console/corrections/new", data=form)
    assert "What would move" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("kind", ["transfer", "merge", "opening", "ending"])
def test_a_form_without_its_token_does_nothing(app: Flask, ana: FlaskClient, kind: str) -> None:  # noqa: F811
    assert ana.post(f"/console/corrections/new/{kind}", data={"id": "f1"}).status_code == 403


def test_an_unknown_kind_is_an_unknown_page(ana: FlaskClient) -> None:  # noqa: F811
    assert ana.get("/console/corrections/new/gift").status_code == 404


def test_a_member_page_leads_to_its_forms_with_the_account_filled_in(anna: int, ana: FlaskClient) -> None:  # noqa: F811
    shown = page(ana, f"/members/{anna}")
    for kind in ("transfer", "merge"):
        assert f"/console/corrections/new/{kind}?account={anna}" in shown
        assert f'value="{anna}"' in page(ana, f"/corrections/new/{kind}?account={anna}")
