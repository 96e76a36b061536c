"""What a POS took for payment besides money, and whether it is there: prizes, certificates, the wallet.

A sale that was paid is kept whenever it can be. A commit is refused only where goods would leave unpaid: what the POS
counted on does not pay for them, and no digest says that it knew.
"""

from loyalty.amounts import format_minor
from loyalty.baskets import Basket, CertificateAsk
from loyalty.pricing.quotes import Quote
from loyalty.pricing.stored_value import CertificatePaid
from loyalty.trouble import Refusal

_THEN = "Ask that much of it, and take the rest in another tender."


class PrizeNotCovered(Refusal):
    code = "prize.not_covered"


class CertificateNotCovered(Refusal):
    code = "certificate.not_covered"


class WalletNotCovered(Refusal):
    code = "wallet.not_covered"


def check_prizes(quote: Quote) -> None:
    """Refuse where goods would be given for a prize that was not taken; one whose goods are not there gives none.

    Raises:
        PrizeNotCovered: with why, and what to do.
    """
    for refused in quote.prizes_refused:
        if refused.reason != "not_in_basket":
            raise PrizeNotCovered(
                f"Prize {refused.code}: {refused.say} Send the sale without it, and take its price in another tender.",
                prize=refused.code,
                reason=refused.reason,
            )


def check_stored(quote: Quote, basket: Basket) -> None:
    """Refuse where certificates or the wallet pay less than was asked of them and something is left to pay. Who asks
    a certificate for as much as there is takes what there is, unless that is nothing.

    Raises:
        CertificateNotCovered, WalletNotCovered: with what can be had.
    """
    if not quote.totals.to_pay_minor:
        return
    refused = next((one for one in quote.certificates_refused if one.reason != "entered_twice"), None)
    if refused is not None:
        raise CertificateNotCovered(
            f"Certificate: {refused.say} Send the sale without it, and take the money in another tender.",
            reason=refused.reason,
        )
    paid = {one.code: one for one in quote.certificates}
    for asked in basket.certificates:
        _check_certificate(asked, paid[asked.code], quote.currency)
    if quote.from_wallet_minor < basket.from_wallet_minor:
        raise WalletNotCovered(
            f"The wallet pays {format_minor(quote.from_wallet_minor, quote.currency)} {quote.currency}. {_THEN}",
            asked_minor=basket.from_wallet_minor,
            paid_minor=quote.from_wallet_minor,
        )


def _check_certificate(asked: CertificateAsk, paid: CertificatePaid, currency: str) -> None:
    if paid.amount_minor < asked.amount_minor:
        raise CertificateNotCovered(
            f"A certificate pays {format_minor(paid.amount_minor, currency)} {currency}. {_THEN}",
            asked_minor=asked.amount_minor,
            paid_minor=paid.amount_minor,
        )
