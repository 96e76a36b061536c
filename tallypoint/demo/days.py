"""The demo's two business days, with a line pulled and a till killed on the way."""

from datetime import date

from rich.console import Console
from rich.progress import Progress

from tallypoint.demo.counter import Counter, totals_of
from tallypoint.demo.shop import Shop
from tallypoint.demo.story import Story


def play(shop: Shop, story: Story, sales: int, console: Console) -> Counter:
    """Both days: the first to earn, the second to spend, with a line pulled and a till killed on the way.

    Returns:
        What happened at the counters besides sales.
    """
    first, second = shop.days
    counter = Counter(shop, story)
    half = sales // 2
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("Day one: customers earn", total=sales)
        for number in range(half):
            till = shop.tills[number % len(shop.tills)]
            card = shop.scan() if till is shop.tills[0] else None
            story.ring_up(till, first, may_spend=False, card=card)
            bar.advance(task)
        _close(shop, first)
        shop.wait_until_synced()
        bar.update(task, description="Day two: customers spend")
        for number in range(sales - half):
            till = shop.tills[number % len(shop.tills)]
            if number == half // 8:
                counter.morning(second)
            if number == half // 4:
                shop.pull_the_plug()
                counter.without_a_line(second)
            if number == half // 2:
                _kill_in_mid_sale(shop, story, second)
                _lay_down_a_copy(shop, story, second, console)
            if number == 3 * half // 4:
                shop.plug_in()
            if number == 7 * half // 8:
                counter.evening(second)
            card = shop.scan() if till is shop.tills[0] else None
            story.ring_up(till, second, may_spend=True, card=card)
            bar.advance(task)
        _close(shop, second)
        bar.update(task, description="Everything reconnects")
        shop.wait_until_synced()
    return counter


def _kill_in_mid_sale(shop: Shop, story: Story, day: date) -> None:
    """A till dies with a commit on the way; the POS asks again under the same id and gets one receipt."""
    till = shop.tills[-1]
    body = story.sale(till, day, story.random.choice(story.cards))
    till.client.post_and_hang_up("/v1/receipts", body)
    shop.kill_and_restart(till)
    story.commit(till, body)


def _lay_down_a_copy(shop: Shop, story: Story, day: date, console: Console) -> None:
    """One coupon, copied, is laid down at two tills of which one has no line: both take it, head office finds out."""
    if story.coupons:
        story.lay_down(story.coupons.pop(0), (shop.tills[0], shop.tills[2]), day)
        console.print("A coupon and its copy are laid down at leith-1 and dock-1, and taken", highlight=False)


def _close(shop: Shop, day: date) -> None:
    """Each POS brings its own totals; a till that counted otherwise would say so."""
    for till in shop.tills:
        body = {"business_date": day.isoformat(), "cashier": "c1", "totals": totals_of(till, day)}
        till.differences += till.client.post("/v1/day-close", body)["differences"]
        till.answered.append(f"till_close:{day.isoformat()}")
