"""What this till writes to beside the POS: a receipt printer and a customer display on serial ports, if it has them."""

from edge.api.answers import Answer
from edge.api.status import PoleDisplaySaid, PrinterSaid
from edge.counter.desk import Desk
from edge.devices.pole_display import PoleDisplay
from edge.devices.printing import NoPrinter, Printing
from edge.devices.serial_line import LineSetup
from edge.ports import Settings
from receipt_templates.as_display import display_named
from receipt_templates.compose import AnyView


class PrintSaid(Answer, frozen=True, kw_only=True):
    """A slip in the printer's queue; `waiting` counts it."""

    receipt_id: str
    waiting: int
    copy: bool


class Peripherals:
    """The printer and the display of the settings; either may be missing.

    Raises:
        UnknownProfile, UnknownDisplay: the settings name one that does not ship.
    """

    def __init__(self, settings: Settings, desk: Desk) -> None:
        self.printing = self.pole = None
        if settings.printer_port:
            line = LineSetup(port=settings.printer_port, baud=settings.printer_baud, flow=settings.printer_flow)
            self.printing = Printing(line, desk.slips.printer, drawer=settings.printer_drawer)
            desk.slips.use_printer(self.printing.print)
        if settings.display_port:
            self.pole = PoleDisplay(
                LineSetup(port=settings.display_port, baud=settings.display_baud),
                display_named(settings.display_profile),
                screen=desk.screens.now,
                shop=settings.shop_name or desk.label,
            )

    def start(self) -> None:
        """Begin to print and to show."""
        for one in (self.printing, self.pole):
            if one is not None:
                one.start()

    def stop(self) -> None:
        """Stop; slips that still wait are to be had again from the till."""
        for one in (self.printing, self.pole):
            if one is not None:
                one.stop()

    def print_again(self, receipt_id: str, view: AnyView) -> PrintSaid:
        """Put a slip, real or practised, in the printer's queue once more. Raises: NoPrinter, PrinterBusy."""
        if self.printing is None:
            raise NoPrinter("This till has no printer of its own; fetch the text and print it at the POS.")
        return PrintSaid(receipt_id=receipt_id, waiting=self.printing.print_again(view), copy=view.copy)

    def printer_said(self) -> PrinterSaid | None:
        """The printer for GET /v1/status; none where there is none."""
        if self.printing is None:
            return None
        health = self.printing.health()
        return PrinterSaid(
            state=health.state,
            paper=health.paper,
            waiting=health.waiting,
            printed=health.printed,
            dropped=health.refused + health.stale,
            opened=health.opened,
            lost_letters=health.lost_letters,
            trouble=health.trouble,
        )

    def pole_said(self) -> PoleDisplaySaid | None:
        """The display, likewise."""
        if self.pole is None:
            return None
        health = self.pole.health()
        return PoleDisplaySaid(state=health.state, frames=health.frames, opened=health.opened, trouble=health.trouble)
