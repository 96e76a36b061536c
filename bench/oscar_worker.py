"""django-oscar's side of the comparison; runs in an environment of its own, of which nothing here is imported.

Reads lines of JSON. `{"basket": [{sku, units, price_minor}], "offers": [...]}` fills a shop that lives in memory;
`{"calls": n}` is answered with the seconds of the processor that applying its offers to the basket took each time, and
with what is left to pay. The basket, its lines and its prices are in memory already; offers are read as its shop does.
"""

import json
import logging
import sys
import warnings
from decimal import Decimal
from time import thread_time

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def main():
    begin()
    say({"ready": True})
    basket = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "basket" in asked:
            basket = fill(asked["basket"], asked["offers"])
            say({"lines": basket.num_lines})
        else:
            say(apply(basket, asked["calls"]))


def begin():
    """A shop with its tables in memory; without its history of migrations, which only takes time."""
    import django
    import oscar
    import oscar.defaults
    from django.conf import settings

    class NoMigrations:
        def __contains__(self, app):
            return True

        def __getitem__(self, app):
            return None

    defaults = {name: getattr(oscar.defaults, name) for name in dir(oscar.defaults) if name.startswith("OSCAR_")}
    settings.configure(
        **{
            **defaults,
            "SECRET_KEY": "bench",
            "SITE_ID": 1,
            "USE_TZ": True,
            "INSTALLED_APPS": oscar.INSTALLED_APPS,
            "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            "HAYSTACK_CONNECTIONS": {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
            "MIGRATION_MODULES": NoMigrations(),
            "DEFAULT_AUTO_FIELD": "django.db.models.AutoField",
            "OSCAR_DEFAULT_CURRENCY": "EUR",
            "ROOT_URLCONF": "oscar.urls",
        }
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


def fill(lines, offers):
    """An empty shop, then its goods, the offers, and the basket."""
    from oscar.apps.partner.strategy import Default
    from oscar.core.loading import get_model

    models = {
        name: get_model(app, name)
        for app, names in {
            "catalogue": ("Product", "ProductClass"),
            "partner": ("Partner", "StockRecord"),
            "basket": ("Basket",),
            "offer": ("Range", "Condition", "Benefit", "ConditionalOffer"),
        }.items()
        for name in names
    }
    for name in ("ConditionalOffer", "Condition", "Benefit", "Range", "Basket", "StockRecord", "Product"):
        models[name].objects.all().delete()
    kind, _ = models["ProductClass"].objects.get_or_create(name="goods", requires_shipping=False, track_stock=False)
    partner, _ = models["Partner"].objects.get_or_create(name="shop")
    prices = {line["sku"]: line["price_minor"] for line in lines}
    products = {}
    for sku in {*prices, *(sku for offer in offers for sku in offer["skus"])}:
        product = models["Product"].objects.create(title=sku, product_class=kind)
        price = Decimal(prices.get(sku, 100)) / 100
        models["StockRecord"].objects.create(
            product=product, partner=partner, partner_sku=sku, price=price, price_currency="EUR"
        )
        products[sku] = product
    for number, offer in enumerate(offers):
        goods = models["Range"].objects.create(name=f"range {number}")
        for sku in offer["skus"]:
            goods.add_product(products[sku])
        make_offer(number, offer, goods, models)
    basket = models["Basket"].objects.create()
    basket.strategy = Default()
    for line in lines:
        basket.add_product(products[line["sku"]], quantity=line["units"])
    basket = models["Basket"].objects.get(pk=basket.pk)
    basket.strategy = Default()
    assert basket.total_excl_tax  # reads lines and prices, before the clock runs
    return basket


def make_offer(number, offer, goods, models):
    """One of ours, as this shop says it."""
    condition = {
        "percent": {"type": "Count", "value": 1},
        "n_for_m": {"type": "Count", "value": offer["units"]},
        "threshold": {"type": "Value", "value": Decimal(offer["at_least_minor"]) / 100},
    }[offer["kind"]]
    benefit = {
        "percent": {"type": "Percentage", "value": offer["percent"]},
        "n_for_m": {"type": "Multibuy", "value": None},
        "threshold": {"type": "Absolute", "value": Decimal(offer["amount_minor"]) / 100},
    }[offer["kind"]]
    models["ConditionalOffer"].objects.create(
        name=f"offer {number}",
        slug=f"offer-{number}",
        condition=models["Condition"].objects.create(range=goods, **condition),
        benefit=models["Benefit"].objects.create(range=goods, **benefit),
        max_basket_applications=1 if offer["kind"] == "threshold" else None,
    )


def apply(basket, calls):
    """The seconds of each call; the basket is as new before each, and what it costs is looked up."""
    from oscar.apps.offer.applicator import Applicator

    took = []
    for _ in range(calls):
        basket.reset_offer_applications()
        begun = thread_time()
        Applicator().apply(basket)
        took.append(thread_time() - begun)
    return {"took_s": took, "net_minor": int(basket.total_excl_tax * 100), "applied": len(basket.offer_applications)}


def say(words):
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main()
