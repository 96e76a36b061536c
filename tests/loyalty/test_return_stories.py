"""Stories of goods that come back, each figure worked out by hand; see `return_stories` for how to read them."""

from typing import Any

import pytest

from tests.loyalty.return_stories import Told, all_stories, as_told

STORIES = list(all_stories())


@pytest.mark.parametrize("story", [story for _, story in STORIES], ids=[name for name, _ in STORIES])
def test_a_story_of_goods_that_come_back(story: dict[str, Any]) -> None:
    told = Told(story)
    for number, step in enumerate(story["steps"], 1):
        found = told.tell(step)
        figures = {name: as_told(found.get(name)) for name in step["gives"]}
        assert figures == step["gives"], f"step {number}"


def test_every_choice_about_returns_has_at_least_two_stories() -> None:
    chosen: dict[str, int] = {}
    for _, story in STORIES:
        programme = story.get("programme", {})
        declared = set(programme.get("options", {}).items())
        for promotion in programme.get("promotions", []):
            declared |= set(promotion.get("options", {}).items())
            if "limits" in promotion:
                declared.add(("on_cancel", promotion["limits"].get("on_cancel", "released")))
        for name, value in declared:
            chosen[f"{name}: {value}"] = chosen.get(f"{name}: {value}", 0) + 1
    wanted = {
        "points_on_return": ("pro_rata", "recompute", "claw_all"),
        "clawback_short": ("debt", "clamp", "money"),
        "coupon_on_return": ("full", "always", "never"),
        "on_cancel": ("released", "kept"),
    }
    few = [f"{name}: {value}" for name, values in wanted.items() for value in values
           if chosen.get(f"{name}: {value}", 0) < 2]  # fmt: skip
    assert few == []


def test_the_stories_each_have_a_name_of_their_own() -> None:
    assert len({name for name, _ in STORIES}) == len(STORIES)
