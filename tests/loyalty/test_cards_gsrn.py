"""GSRN of a recipient in element strings and links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.cards.gsrn import gsrn_of

N = "735005385000000011"
GS = "\x1d"

READINGS = [
    # text, carrier, whether the number is found
    (f"8018{N}", "]C1", True),
    (f"8018{N}", None, True),
    (f"8018{N}", "]C0", False),
    (f"8018{N}{GS}80191", "]Q3", True),
    (f"8018{N}{GS}80191234567890", "]Q3", True),
    (f"8018{N}{GS}801912345678901", "]Q3", False),  # a service instance has at most ten digits
    (f"8018{N}{GS}8019", "]Q3", False),
    (f"8018{N}{GS}80191{GS}80192", "]Q3", False),
    (f"8018{N}80191", "]Q3", False),  # 8018 is not of predefined length: FNC1 must end it
    (f"80191{GS}8018{N}", "]d2", True),
    (f"10LOT7{GS}8018{N}", "]C1", True),
    (f"01040063813339318018{N}", "]d2", True),  # 01 is of predefined length: no FNC1 behind it
    (f"172611308018{N}", "]C1", True),
    (f"10801873500538500000001{GS}21X", "]C1", False),  # a batch number that looks like one
    (f"8018{N}{GS}8017{N}", "]C1", False),
    (f"8017{N}{GS}8018{N}", "]C1", False),
    (f"8018{N}{GS}8018{N}", "]C1", False),
    (f"8018{N[:-1]}", "]C1", False),
    (f"8018{N}1", "]C1", False),
    (f"8018{N}{GS}", "]C1", True),
    (f"https://id.example.org/8018/{N}", "]Q1", True),
    (f"https://id.example.org/8018/{N}", "]d1", True),
    (f"https://id.example.org/8018/{N}?8017={N}", "]Q1", False),
    (f"https://id.example.org/8017/{N}/8018/{N}", "]Q1", False),
    (f"https://id.example.org/8018/{N}?linkType=all", None, True),
    (f"http://x/8018/{N}#frag", None, True),
    (f"ftp://x/8018/{N}", None, False),
    (f"https://id.example.org/8018/{N}0", "]Q1", False),
    (f"https://id.example.org/18018/{N}", "]Q1", False),
    (f"https://id.example.org/8018/{N}/8019/12345678901", "]Q1", False),
]


@pytest.mark.parametrize(("text", "aim", "found"), READINGS)
def test_a_recipients_number_is_found_where_the_standard_lets_it_stand(text, aim, found):
    assert gsrn_of(text, aim) == (N if found else None)


@given(st.text("0123456789\x1d/:htps?8018", max_size=80), st.sampled_from([None, "]C1", "]Q1", "]d2"]))
def test_any_text_is_read_without_an_exception(text, aim):
    assert gsrn_of(text, aim) is None or len(gsrn_of(text, aim)) == 18
