"""Where the till says no. The sentences are made where the figures are."""

from loyalty.trouble import BadInput, Fault, Refusal


class NoProgramme(Fault):
    code = "till.no_programme"


class PaymentCardScanned(Refusal):
    code = "card.payment_card"
    status = 422


class CardUnreadable(Refusal):
    code = "card.unreadable"
    status = 422


class NotOurCard(Refusal):
    code = "card.not_ours"
    status = 422


class CardBlocked(Refusal):
    code = "card.blocked"


class CardTooWeak(Refusal):
    code = "card.too_weak"


class TooManyLookups(Refusal):
    code = "card.too_many_lookups"
    status = 429


class TillRevoked(Refusal):
    code = "till.revoked"


class BadTime(BadInput):
    code = "sale.bad_time"
    status = 422


class IdReserved(BadInput):
    code = "receipt.id_reserved"
    status = 422


class IdReused(Refusal):
    code = "receipt.id_reused"


class ReceiptUnknown(Refusal):
    code = "receipt.unknown"
    status = 404


class EventTooLarge(Refusal):
    code = "receipt.too_large"
    status = 413


class TrainingSale(Refusal):
    code = "receipt.training"
    status = 422


class SpendingOff(Refusal):
    code = "redemption.offline_off"


class MemberStale(Refusal):
    code = "redemption.member_stale"


class HoldUnknown(Refusal):
    code = "hold.unknown"
    status = 404


class HoldLapsed(Refusal):
    code = "hold.lapsed"


class HoldCaptured(Refusal):
    code = "hold.captured"


class HoldReleased(Refusal):
    code = "hold.released"


class HoldExceeded(Refusal):
    code = "hold.exceeded"


class HoldOfAnotherCard(Refusal):
    code = "hold.other_card"


class HoldIdReused(Refusal):
    code = "hold.id_reused"


class HoldOfNothing(Refusal):
    code = "hold.no_points"
    status = 422


class DayIsClosed(Refusal):
    code = "void.day_closed"


class VoidOfExchange(Refusal):
    code = "void.exchange"


class HasReturns(Refusal):
    code = "void.has_returns"


class ReturnUnknown(Refusal):
    code = "void.return_unknown"
    status = 404


class VoidOfCertificate(Refusal):
    code = "void.certificate_gone"


class VoidPointsSpent(Refusal):
    code = "void.points_spent"


class VoidMoneySpent(Refusal):
    code = "void.money_spent"


class ReturnOfUnknownReceipt(Refusal):
    code = "return.receipt_unknown"
    status = 404


class ReturnOfVoided(Refusal):
    code = "return.receipt_voided"


class GoodsMissing(Refusal):
    code = "return.goods_missing"
    status = 422


class ParkedIdReused(Refusal):
    code = "parked.id_reused"


class ParkedUnknown(Refusal):
    code = "parked.unknown"
    status = 404


class ParkedGone(Refusal):
    code = "parked.gone"


class ParkedTaken(Refusal):
    code = "parked.taken"


class ParkedTooLarge(Refusal):
    code = "parked.too_large"
    status = 413


class ParkedNoLine(Refusal):
    code = "parked.no_line"
    status = 503


class ParkedOfficeFull(Refusal):
    code = "parked.office_full"


class ParkedResting(Refusal):
    code = "parked.resting"
    status = 503


class ParkedUnheard(Refusal):
    code = "parked.unheard"
    status = 503


class ExchangeReused(Refusal):
    code = "exchange.id_reused"


class ExchangeUnknown(Refusal):
    code = "exchange.unknown"
    status = 404


class TwoCards(Refusal):
    code = "card.two_cards"
    status = 422


class DayNotClosed(Refusal):
    code = "day.not_closed"
    status = 404


class ClosedOtherwise(Refusal):
    code = "day.closed_otherwise"
