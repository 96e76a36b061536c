"""Codes that confirm a consent prove themselves, forgive what people misread, and cannot be made without the key."""

from hypothesis import given
from hypothesis import strategies as st

from loyalty.cards.confirming import confirm_code, confirm_key, confirm_number, read_confirm_code

KEY = confirm_key(b"k" * 32)
NUMBER = confirm_number("ab" * 16, "K-1", "marketing:email")


def test_a_code_is_four_groups_of_four_and_reads_back_however_it_is_typed():
    code = confirm_code(KEY, NUMBER)
    assert [len(part) for part in code.split(" ")] == [4, 4, 4, 4]
    for typed in (code, code.upper(), code.replace(" ", "-"), f" {code.replace('0', 'o').replace('1', 'l')} "):
        assert read_confirm_code(KEY, typed) == NUMBER


def test_each_consent_of_each_event_of_each_till_has_a_number_of_its_own():
    told = {confirm_number(till, event, name) for till in ("ab" * 16, "cd" * 16) for event in ("K-1", "K-2")
            for name in ("marketing:email", "marketing:sms")}  # fmt: skip
    assert len(told) == 8


@given(st.integers(0, 15), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz"))
def test_one_wrong_letter_confirms_nothing(at, letter):
    code = confirm_code(KEY, NUMBER).replace(" ", "")
    wrong = code[:at] + letter + code[at + 1 :]
    assert read_confirm_code(KEY, wrong) == (NUMBER if wrong == code else None)


@given(st.text(max_size=40))
def test_anything_else_is_no_code(text):
    assert read_confirm_code(KEY, text) is None


def test_a_code_of_another_programme_is_none_of_ours():
    assert read_confirm_code(confirm_key(b"another key of 32 bytes, perhaps"), confirm_code(KEY, NUMBER)) is None
