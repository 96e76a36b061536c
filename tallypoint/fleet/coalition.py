"""Who the fleet's shops are: two partners, their stores, their programme, the cards of their members."""

from importlib import resources
from typing import Any

from loyalty.cards.check_digits import gs1_digit
from loyalty.programme.programme import Programme, read_programme

CARD_PREFIX = "299071234"
PARTNERS = ("anchor", "birch")


def fleet_programme() -> Programme:
    """The programme as it ships."""
    return read_programme((resources.files("tallypoint.fleet") / "programme.yaml").read_text("utf-8"))


def coalition(stores: int) -> dict[str, Any]:
    """Two partners under the same terms, who share the stores."""
    return {
        "currency": "EUR",
        "partners": [
            {
                "partner_id": partner,
                "stores": [{"store_id": store_name(n)} for n in range(stores) if n % len(PARTNERS) == place],
                "terms": [
                    {"terms_id": f"{partner}-1", "from_on": "2000-01-01", "funding_micro": 10_000,
                     "reimburse_micro": 9_400}
                ],
            }
            for place, partner in enumerate(PARTNERS)
        ],
    }  # fmt: skip


def store_name(number: int) -> str:
    """The id of a store."""
    return f"store-{number}"


def partner_of(store_id: str) -> str:
    """Whose store it is."""
    return PARTNERS[int(store_id.removeprefix("store-")) % len(PARTNERS)]


def card_numbers(count: int) -> tuple[str, ...]:
    """So many card numbers of the programme."""
    bodies = (f"{CARD_PREFIX}{n:03d}" for n in range(count))
    return tuple(body + gs1_digit(body) for body in bodies)
