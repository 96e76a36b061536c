"""Events of members as tills wrote them are read for ever: these bytes are frozen, and more may be added below."""

import msgspec
import pytest

from loyalty.facts.events import encode, read_head
from loyalty.facts.member_events import CardChanged, Enrolled, owned_tokens, tokens_of
from loyalty.programme.member_rules import MemberRules
from loyalty.programme.programme import BadProgramme, canonical, read_programme

PLACE = '["acme","S1","abababababababababababababababab","pos",1772452800000,60,"2026-03-02",""]'
FROZEN = [
    '{"type":"enrolment.v1","receipt_id":"E-1","place":PLACE,"card_token":"TA","kind":"ean13","last4":"0018",'
    '"number":[1,17,"290"],"language":"pl","consents":[["marketing","email","v1","pl",true,"k3pw7q2mx"]],'
    '"asked_on":"kiosk","sealed_sha256":"SHA","detail":{"cashier":"4","offline":true}}',
    '{"type":"enrolment.v1","receipt_id":"E-2","place":PLACE,"card_token":"TA","kind":""}',
    '{"type":"card.v1","receipt_id":"C-1","place":PLACE,"what":"replaced","card_token":"TA","other_token":"TB",'
    '"kind":"ean13","last4":"0025","number":[1,18,"290"],"reason":"lost","detail":{"cashier":"4"}}',
    '{"type":"card.v1","receipt_id":"C-2","place":PLACE,"what":"blocked","card_token":"TA"}',
    '{"type":"consent.v1","receipt_id":"K-1","place":PLACE,"what":"given","card_token":"TA",'
    '"said":["marketing","email","v1","en",true,""],"asked_on":"print"}',
    '{"type":"consent.v1","receipt_id":"F-1","place":PLACE,"what":"confirmed","said":["","","","",true,"k3pw7q2mx"]}',
    '{"type":"claim.v1","receipt_id":"L-1","place":PLACE,"card_token":"TA","named":{"receipt_id":"R-1","store":"S1",'
    '"till":"one","sold_at":"2026-03-02T12:00","total_minor":1250,"record":"A481A927"},"last4":"0018"}',
    '{"type":"claim.v1","receipt_id":"L-2","place":PLACE,"card_token":"TA","named":{"receipt_id":"R-1"},'
    '"till_id":"abababababababababababababababab","points":12}',
    '{"type":"claim_settled.v1","receipt_id":"claim:1","account_id":7,"on":"2026-03-02","at_partner_id":"acme",'
    '"of":["abababababababababababababababab",1,4],"by":["abababababababababababababababab",1,5],'
    '"granted":[["acme","2027-03-31",12]],"reversed":[["acme","2027-03-31",3]],"clamp":true}',
    '{"type":"card_named.v1","receipt_id":"N-1","place":PLACE,"names":[["1","TA"],["2","TB"]],"kind":"ean13",'
    '"last4":"0018"}',
    '{"type":"card_named.v1","receipt_id":"N-2","place":PLACE,"names":[["2","TA"]]}',
]  # fmt: skip


def frozen(text: str) -> bytes:
    told = text.replace("PLACE", PLACE).replace('"TA"', f'"{"a1" * 16}"').replace('"TB"', f'"{"b2" * 16}"')
    return told.replace("SHA", "0f" * 32).encode()


@pytest.mark.parametrize("text", FROZEN, ids=lambda text: msgspec.json.decode(frozen(text))["receipt_id"])
def test_frozen_bytes_are_read_and_say_the_same(text: str):
    read = read_head(frozen(text))
    assert msgspec.json.decode(encode(read)) == msgspec.json.decode(frozen(text))


def test_whose_cards_an_event_is_about():
    joined, replaced, blocked = (read_head(frozen(FROZEN[n])) for n in (0, 2, 3))
    assert isinstance(joined, Enrolled) and isinstance(replaced, CardChanged) and isinstance(blocked, CardChanged)
    assert tokens_of(replaced) == ("a1" * 16, "b2" * 16)
    assert owned_tokens(replaced) == ("b2" * 16,)
    assert (owned_tokens(joined), owned_tokens(blocked)) == (("a1" * 16,), ())
    assert (replaced.blocked_token, blocked.blocked_token) == ("b2" * 16, "a1" * 16)


def test_a_programme_that_says_nothing_of_members_keeps_its_version():
    plain = read_programme("id: club\ncurrency: EUR\n")
    assert canonical(plain) == b'{"id":"club","currency":"EUR"}'
    assert plain.members == MemberRules()


@pytest.mark.parametrize(
    "members",
    [
        "{consents: [{purpose: marketing, version: v1, text: {en: Yes}}]}",
        "{consents: [{purpose: terms, version: v1, text: {}}]}",
        "{consents: [{purpose: terms, version: v1, text: {en: A}}, {purpose: terms, version: v2, text: {en: B}}]}",
        "{consents: [{purpose: terms, version: 'a:b', text: {en: A}}]}",
        "{claims: {per_card_per_day: 0}}",
        "{numbers_at_once: 0}",
    ],
)
def test_what_members_may_not_be_asked(members: str):
    with pytest.raises(BadProgramme):
        read_programme(f"id: club\ncurrency: EUR\nmembers: {members}\n")
