"""Partners, stores, terms, tills and their enrolment, on each engine."""

import copy
from datetime import date

import pytest
from sqlalchemy import select, update

from central.coalition.hellos import peers_of
from central.coalition.registry import BadCoalition, all_terms, load_coalition, partner_of
from central.coalition.slots import UnknownStore, UnknownTillHere, open_slot
from central.coalition.streams import revoke_till
from central.database.tables import lot, quarantine, store_partner, stream
from central.ports import BadSettings, read_key, read_settings, writing
from central.tills import store
from central.verify.books import verify_books
from loyalty.amounts import UnknownCurrency
from sync.enrolment import make_claim
from sync.framing import open_signed
from sync.keys import Signer, one_key
from sync.wire import ENROL_PATH, PROBLEM_TAG, Problem
from tests.central.tills import COALITION, DAY, NOW, Centre, Drawn, Till, told


def test_the_same_coalition_again_changes_nothing(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        before = all_terms(tx), tx.execute(select(store_partner)).all()
        load_coalition(tx, COALITION, NOW + 1)
        assert (all_terms(tx), tx.execute(select(store_partner)).all()) == before
        assert sorted(one.terms_id for one in before[0]) == ["acme-1", "bolt-1"]


@pytest.mark.parametrize(
    ("path", "value", "trouble"),
    [
        (("currency",), "USD", BadCoalition),
        (("currency",), "XXQ", UnknownCurrency),
        (("partners", 0, "terms", 0, "funding_micro"), 11_000, BadCoalition),
        (("partners", 0, "shops"), [], BadCoalition),
    ],
)
def test_a_coalition_that_would_change_the_past_is_refused_whole(centre: Centre, path, value, trouble) -> None:
    document = copy.deepcopy(COALITION)
    document["partners"].append({"partner_id": "cask"})
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(trouble), writing(centre.engine) as tx:
        load_coalition(tx, document, NOW)
    with writing(centre.engine) as tx:
        assert sorted(one.partner_id for one in all_terms(tx)) == ["acme", "bolt"]


def test_terms_begin_after_what_is_booked_without_them(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna))  # on 2 March, as points of acme under acme-1
    till.upload()
    acme, bolt = COALITION["partners"]

    def load(terms_id: str, from_on: str) -> None:
        later = {"terms_id": terms_id, "from_on": from_on, "funding_micro": 8_000}
        with writing(centre.engine) as tx:
            load_coalition(tx, {**COALITION, "partners": [{**acme, "terms": [*acme["terms"], later]}, bolt]}, NOW)

    with pytest.raises(BadCoalition, match="2026-03-02"):
        load("acme-2", "2026-02-01")
    assert violations(centre) == []
    load("acme-old", "2025-06-01")  # acme-1 goes on from January on
    load("acme-3", "2026-03-03")
    till.sell("R2", 10_000, told(anna, 1, 100), on=date(2026, 3, 3))
    till.upload()
    lots = select(lot.c.terms_id, lot.c.points).order_by(lot.c.terms_id)
    assert centre.rows(lots) == [("acme-1", 100), ("acme-3", 100)]
    assert violations(centre) == []


def violations(centre: Centre) -> list[str]:
    return [one.code for one in verify_books(centre.engine).violations]


def test_a_store_belongs_to_its_new_partner_from_the_day_on(centre: Centre) -> None:
    sold = {"partner_id": "bolt", "stores": [{"store_id": "S3", "from_on": "2026-07-01"}]}
    with writing(centre.engine) as tx:
        load_coalition(tx, {"currency": "EUR", "partners": [sold]}, NOW)
        days = ["2026-06-30", "2026-07-01"]
        assert [partner_of(tx, "S3", day) for day in days] == ["acme", "bolt"]
        assert partner_of(tx, "S9", "2026-07-01") == ""
    assert centre.till("S3").identity.partner_id == "acme"  # enrolled in March


def test_a_code_enrols_one_machine_and_warns_of_a_second(centre: Centre) -> None:
    till = centre.till()
    assert (till.identity.epoch, till.identity.partner_id, till.identity.store_id) == (1, "acme", "S1")
    stranger = Drawn("stranger")
    signer, exchange = Signer(stranger.bytes(32)), stranger.bytes(32)
    claim = make_claim(till.code, signer, exchange, install_id="x", version="1", at_ms=NOW)
    answer = centre.session.answer(NOW, ENROL_PATH, claim, centre.store)
    problem = open_signed(PROBLEM_TAG, answer.body, Problem, one_key(centre.signer.public))[0]
    assert problem.code == "enrolment.code_used"
    assert centre.flags() == [(0, "enrolment.code_used")]


def test_a_code_is_worth_nothing_once_its_enrolment_is_over(centre: Centre) -> None:
    # Whoever has the machine has its key, and would be told the card keys that were made because it was stolen.
    till = centre.till()

    def claims_again() -> int:
        claim = make_claim(
            till.code, Signer(till.secret), Drawn("fresh").bytes(32), install_id=till.install, version="1", at_ms=NOW
        )
        return centre.session.answer(NOW, ENROL_PATH, claim, centre.store).status

    assert claims_again() == 200
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    assert claims_again() == 409
    assert centre.flags() == [(0, "enrolment.code_used")]


def test_a_code_lapses_after_a_day_and_a_newer_one_replaces_it(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        first = open_slot(tx, centre.random, store_id="S1", label="Lane 1", now_ms=NOW)
    machine = Drawn("machine")
    claim = make_claim(first.code, Signer(machine.bytes(32)), machine.bytes(32), install_id="m", version="1", at_ms=NOW)
    assert centre.session.answer(NOW + DAY, ENROL_PATH, claim, centre.store).status == 410
    with writing(centre.engine) as tx:
        open_slot(tx, centre.random, store_id="S1", label="Lane 1", now_ms=NOW, till_id=first.till_id)
    assert centre.session.answer(NOW, ENROL_PATH, claim, centre.store).status == 410


def test_a_till_that_enrols_again_begins_a_new_epoch_and_leaves_the_old_one(centre: Centre) -> None:
    till = centre.till()
    till.sell("R1", 100)
    till.upload()
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="again")
    newer.sell("R2", 100)
    newer.upload()
    till.sell("R3", 100)
    problem = till.send(till.batch())
    assert problem.code == "sync.old_epoch"
    assert centre.flags() == [(0, "batch_quarantined")]
    states = select(stream.c.epoch, stream.c.state, stream.c.seq).where(stream.c.till_id == till.head.till_id)
    assert centre.rows(states.order_by(stream.c.epoch)) == [(1, "left", 1), (2, "active", 1)]


def test_a_revoked_tills_batches_are_kept_and_not_posted(centre: Centre) -> None:
    till = centre.till()
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    till.sell("R1", 100)
    data = till.batch()
    assert [till.send(data).code, till.send(data).code] == ["sync.revoked", "sync.revoked"]
    assert centre.rows(select(stream.c.seq).where(stream.c.till_id == till.head.till_id)) == [(0,)]
    assert centre.flags() == [(0, "batch_quarantined")]


def test_whoever_has_a_stolen_till_cannot_fill_the_disk_with_its_uploads(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = centre.till()
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    till.sell("R1", 100)
    sent = [till.batch() for _ in range(4)]  # each under a number of its own
    monkeypatch.setattr(store, "MOST_KEPT_BYTES", len(sent[0]) + len(sent[1]))
    assert {till.send(data).code for data in sent} == {"sync.revoked"}
    assert {bytes(one) for (one,) in centre.rows(select(quarantine.c.evidence))} == {sent[0], sent[1]}
    assert sorted(cause for _, cause in centre.flags()) == ["batch_quarantined", "uploads_not_kept"]


def test_nor_with_proofs_of_one_fork_after_the_other(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    till_id = centre.till().head.till_id
    monkeypatch.setattr(store, "MOST_KEPT_BYTES", 10)
    for proof in (b"first", b"other", b"third", b"other"):
        centre.store.suspend(till_id, 1, "sync.fork", proof, NOW)
    assert {bytes(one) for (one,) in centre.rows(select(quarantine.c.evidence))} == {b"first", b"other"}
    assert sorted(cause for _, cause in centre.flags()) == ["sync.fork", "uploads_not_kept"]
    assert centre.rows(select(stream.c.state).where(stream.c.till_id == till_id)) == [("suspended",)]


def test_a_till_that_is_stopped_has_its_alarm_though_there_is_no_room_for_the_proof(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    till_id = centre.till().head.till_id
    monkeypatch.setattr(store, "MOST_KEPT_BYTES", 0)
    centre.store.suspend(till_id, 1, "sync.fork", b"proof", NOW)
    assert sorted(cause for _, cause in centre.flags()) == ["sync.fork", "uploads_not_kept"]
    assert centre.rows(select(quarantine.c.evidence)) == []


def test_tills_of_a_store_that_listen_are_told_to_each_other_by_name(centre: Centre) -> None:
    one, two, elsewhere = centre.till(), centre.till(), centre.till("S2")
    with writing(centre.engine) as tx:
        for till, lan in ((two, "10.0.0.2:7000"), (elsewhere, "10.0.9.9:7000")):
            about = stream.c.till_id == till.head.till_id
            tx.execute(update(stream).where(about).values(about=f'{{"lan": "{lan}"}}'))
        told = peers_of(tx, one.head.till_id)
        assert [(peer.till_id, peer.label, peer.address) for peer in told] == [
            (two.head.till_id, "Lane", "10.0.0.2:7000")
        ]
        assert peers_of(tx, two.head.till_id) == ()  # the first does not listen


def test_a_request_number_counts_once(centre: Centre) -> None:
    till = centre.till()
    assert centre.store.take_counter(till.head.till_id, 1, 5, NOW)
    assert not centre.store.take_counter(till.head.till_id, 1, 5, NOW)
    assert centre.store.take_counter(till.head.till_id, 1, 6, NOW)


def test_a_till_with_nothing_to_send_is_heard_when_it_asks_for_the_hotlist(centre: Centre) -> None:
    heard = select(stream.c.heard_at_ms)
    till = centre.till()
    till.page("hotlist")
    assert centre.rows(heard) == [(NOW,)]
    centre.now = NOW + 20_000
    till.page("hotlist")
    assert centre.rows(heard) == [(NOW + 20_000,)]
    centre.now = NOW + 40_000
    # An old request that somebody plays again is no sign of life.
    assert not centre.store.take_counter(till.head.till_id, 1, 1, centre.now)
    assert centre.rows(heard) == [(NOW + 20_000,)]


def test_a_slot_needs_a_store_and_a_known_till(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        with pytest.raises(UnknownStore):
            open_slot(tx, centre.random, store_id="S9", label="", now_ms=NOW)
        with pytest.raises(UnknownTillHere):
            open_slot(tx, centre.random, store_id="S1", label="", now_ms=NOW, till_id="ff" * 16)


def test_settings_come_from_the_file_and_the_environment_wins(tmp_path) -> None:
    file = tmp_path / "centre.yaml"
    file.write_text("listen_port: 9000\ndata_dir: here\n")
    settings = read_settings(file, {"TALLYPOINT_CENTRAL_LISTEN_PORT": "9001", "HOME": "/"})
    assert (settings.listen_port, settings.url) == (9001, "sqlite:///here/central.db")
    for wrong in ("listen_port: many", "shop: 1", ": :", "- 1"):
        file.write_text(wrong)
        with pytest.raises(BadSettings):
            read_settings(file, {})


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path) -> None:
    path = tmp_path / "keys" / "card.key"
    first = read_key(path, Drawn("one"))
    assert (read_key(path, Drawn("other")), path.stat().st_mode & 0o777) == (first, 0o600)
    path.write_bytes(b"short")
    with pytest.raises(BadSettings):
        read_key(path, Drawn("one"))
