"""Publishing a programme: by what it says, and never a malformed one."""

import msgspec
import pytest
import yaml

from central.coalition.programmes import compiled, current_programme, document_of, publish, releases
from central.ports import writing
from loyalty.programme.programme import BadProgramme
from tests.central.tills import PROGRAMME, Centre


def test_the_same_programme_again_changes_nothing_whatever_its_spelling(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        first = publish(tx, msgspec.json.encode(PROGRAMME), centre.now)
        assert publish(tx, yaml.safe_dump(PROGRAMME), centre.now + 5) == first
        assert [row.no for row in releases(tx)] == [1]


def test_an_older_programme_can_come_back(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        first = current_programme(tx)
        publish(tx, msgspec.json.encode({**PROGRAMME, "name": "Two"}), centre.now, "ann")
        back = publish(tx, document_of(tx, first.version), centre.now, "ann")
        assert (back.no, back.version) == (3, first.version)
        assert [(row.no, row.published_by) for row in releases(tx)] == [(3, "ann"), (2, "ann"), (1, "")]
        assert set(compiled(tx, [first.version, "0" * 64])) == {first.version}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"currency": "USD"}, "counts in USD, the coalition in EUR"),
        ({"promotions": [{"id": "p", "funded_by": "nobody"}]}, "names nobody"),
        ({"promotions": [{"id": "p", "where": {"partners": ["acme", "nowhere"]}}]}, "names nowhere"),
        ({"promotion": []}, "promotion"),
    ],
)
def test_a_programme_that_does_not_fit_changes_nothing(centre: Centre, change: dict, says: str) -> None:
    with writing(centre.engine) as tx:
        before = current_programme(tx)
        with pytest.raises(BadProgramme, match=says):
            publish(tx, msgspec.json.encode({**PROGRAMME, **change}), centre.now)
        assert (current_programme(tx), len(releases(tx))) == (before, 1)


def test_a_programme_that_no_page_could_bring_to_a_till_is_not_published(centre: Centre) -> None:
    skus = [f"590123{n:07}" for n in range(560_000)]  # 16 bytes each
    offer = {"id": "offer", "then": [{"kind": "percent_off", "percent_bp": 500, "of": {"sku": skus}}]}
    with writing(centre.engine) as tx:
        with pytest.raises(BadProgramme, match=r"takes 87\d\d KiB.*8191 KiB.*by category, brand or tag"):
            publish(tx, msgspec.json.encode({**PROGRAMME, "promotions": [offer]}), centre.now)
        assert len(releases(tx)) == 1
