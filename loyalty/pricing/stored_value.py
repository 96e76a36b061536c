"""Gift certificates, named or to bearer, and the member's wallet: tender that was paid in before.

They pay after points. The figures of lines do not change, so goods paid with them earn as goods paid in money, which
the sale of a certificate did not. Source: engine.md capability 20; docs/programme.md "Certificates and wallet".
"""

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.certificates import CertificateSold
from loyalty.members import WALLET, Use, WalletItem, certificate_use
from loyalty.pricing.coupons import SAY, RefusedCode, spoiled_for
from loyalty.pricing.workings import Workings
from loyalty.programme.programme import valid_through
from loyalty.trouble import Refusal


class CertificatePaid(msgspec.Struct, frozen=True, kw_only=True):
    """What one certificate pays of this receipt, and what is left on it."""

    code: str
    amount_minor: int
    left_minor: int


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What stored value pays, and the codes that did not serve."""

    certificates: tuple[CertificatePaid, ...] = ()
    refused: tuple[RefusedCode, ...] = ()
    from_wallet_minor: int = 0
    uses: tuple[Use, ...] = ()
    shared_uses: tuple[Use, ...] = ()


NO_STORED_VALUE = Stored()


class StoredPaid(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units of a sale that stored value paid."""

    certificates_minor: int
    wallet_minor: int


class CertificatesNotSold(Refusal):
    code = "certificate.not_sold"
    status = 422


def certificates_sold(workings: Workings) -> tuple[CertificateSold, ...]:
    """The certificates that this basket sells or tops up, each with what its line costs and the last day of the money.

    Raises:
        CertificatesNotSold: the programme has no certificates, and the code would be lost.
    """
    basket, rule = workings.basket, workings.compiled.programme.certificates
    if not basket.certificates_sold:
        return ()
    if rule is None:
        raise CertificatesNotSold("This programme sells no certificates. Take the line off the basket.")
    amounts = {line.line: line.amount_minor for line in workings.lines}
    through = valid_through(rule.lifetime, workings.place.business_date)
    return tuple(
        CertificateSold(line=one.line, code=one.code, amount_minor=amounts[one.line], valid_through=through)
        for one in basket.certificates_sold
    )


def stored_paid(uses: Iterable[Use]) -> StoredPaid:
    """What certificates and the wallet paid of a sale, from what it took off their counters."""
    own = tuple(uses)
    return StoredPaid(
        certificates_minor=-sum(use.amount for use in own if use.name.startswith(certificate_use(""))),
        wallet_minor=-sum(use.amount for use in own if use.name == WALLET),
    )


def stored_at_most(
    own: Sequence[Use], shared: Sequence[Use], codes: Iterable[str], due_minor: int
) -> tuple[tuple[Use, ...], tuple[Use, ...]]:
    """The uses of a sale where certificates and wallet pay no more than is due; the rest stays on them.

    Args:
        own, shared: as the quote has them.
        codes: of the certificates, in the order in which they were laid down.
        due_minor: what the goods came to in money, 0 or more.
    """
    asked = {use.name: -use.amount for use in (*own, *shared)}
    pays: dict[str, int] = {}
    for name in (*map(certificate_use, codes), WALLET):
        if name in asked and name not in pays:
            pays[name] = min(asked[name], due_minor)
            due_minor -= pays[name]

    def lowered(uses: Iterable[Use]) -> tuple[Use, ...]:
        paid = (Use(name=use.name, amount=-pays[use.name]) if use.name in pays else use for use in uses)
        return tuple(use for use in paid if use.amount)

    return lowered(own), lowered(shared)


def pay_with_stored(due: Sequence[int], workings: Workings, bearer: Sequence[WalletItem]) -> Stored:
    """What certificates pay in the order in which they were laid down, then the wallet.

    Args:
        due: what is left to pay of each line.
        bearer: certificates in hand, as this till knows them; the member's own are in the wallet.
    """
    basket, rule, view = workings.basket, workings.compiled.programme.certificates, workings.view
    if not basket.certificates and not basket.from_wallet_minor:
        return NO_STORED_VALUE
    payable = sum(cost for i, cost in enumerate(due) if i not in workings.sold)
    left = payable * rule.largest_share_bp // 10_000 if rule else 0
    items = {
        item.code: item for item in (*bearer, *(view.wallet if view else ())) if item.kind == "certificate" and rule
    }
    paid: list[CertificatePaid] = []
    refused: list[RefusedCode] = []
    own: list[Use] = []
    shared: list[Use] = []
    seen: set[str] = set()
    for asked in basket.certificates:
        item = items.get(asked.code)
        reason = "entered_twice" if asked.code in seen else _spoiled(item, workings)
        seen.add(asked.code)
        if item is None or reason:
            refused.append(RefusedCode(code=asked.code, reason=reason, say=SAY[reason]))
            continue
        amount = min(asked.amount_minor or item.balance_minor, item.balance_minor, left)
        left -= amount
        paid.append(
            CertificatePaid(code=asked.code, amount_minor=amount, left_minor=item.balance_minor - amount)
        )
        if amount:
            uses = shared if item.account_id is None else own
            uses.append(Use(name=certificate_use(item.code), amount=-amount))
    from_wallet = 0
    if view is not None and view.account_id is not None and rule and rule.wallet:
        from_wallet = min(basket.from_wallet_minor, view.stored_minor, left)
    if from_wallet:
        own.append(Use(name=WALLET, amount=-from_wallet))
    return Stored(
        certificates=tuple(paid),
        refused=tuple(refused),
        from_wallet_minor=from_wallet,
        uses=tuple(own),
        shared_uses=tuple(shared),
    )


def _spoiled(item: WalletItem | None, workings: Workings) -> str:
    if item is None:
        return "unknown_code"
    reason = item.refused or spoiled_for(item, workings.view, workings.place.business_date)
    return reason or ("" if item.balance_minor > 0 else "nothing_left")
