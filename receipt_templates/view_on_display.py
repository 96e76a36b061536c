"""What a two-line display shows once a slip is written: the state that goes with a view."""

from receipt_templates.compose import AnyView
from receipt_templates.slip_views import BalanceView
from receipt_templates.two_lines import DisplayState
from receipt_templates.view import ReceiptView


def display_of(view: AnyView) -> DisplayState:
    """The display's state: paid for a sale, the balance for an enquiry, between sales for any other slip."""
    shown = DisplayState(
        language=view.language,
        currency=view.currency,
        shop=view.shop.name,
        has_card=bool(view.member),
        balance_points=view.balance_points,
        offline=view.offline,
        training=view.training,
    )
    match view:
        case ReceiptView():
            return DisplayState(
                phase="done",
                language=shown.language,
                currency=shown.currency,
                total_minor=view.total_minor,
                saved_minor=view.discount_minor,
                has_card=shown.has_card,
                points=view.points_earned,
                balance_points=shown.balance_points,
                offline=shown.offline,
                training=shown.training,
            )
        case BalanceView():
            return DisplayState(
                phase="member",
                language=shown.language,
                has_card=True,
                balance_points=view.balance_points,
                may_spend_points=view.spendable_points or 0,
            )
    return shown
