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


class HasReturns(Refusal):
    code = "void.has_returns"


class ReturnOfUnknownReceipt(Refusal):
    code = "return.receipt_unknown"
    status = 404


class ReturnOfVoided(Refusal):
    code = "return.receipt_voided"


class GoodsMissing(Refusal):
    code = "return.goods_missing"
    status = 422
