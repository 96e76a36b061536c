"""Why a row is on the worklist, in a sentence for who settles it, and what to do."""

WHY = {
    "uncovered": "More points were spent than the account's lots held. The rest is a debt that later points repay.",
    "earned_by_nobody": "Points were granted to a card that stands for no account, so they were not booked.",
    "clawback_clamped": "Goods came back, their points were spent. The programme lets these go, so nobody owes them.",
    "returned_twice": "More came back than was left of the receipt. Only what was left was booked.",
    "other_receipt": "Its till gave one number to two receipts, and the one that came back is not here. It waits for "
    "it, and takes nothing from the other. Look for the receipt in quarantine.",
    "restored_more_than_spent": "More spent points came back than the receipt had spent. Only those were given back.",
    "no_terms": "A partner had no contract terms on that day, so these points are settled at nothing. Load its terms, "
    "from a day on that is still to come.",
    "close_differs": "The till counted its day otherwise than what arrived of it. Look for receipts that are missing.",
    "pos_differs": "The POS closed its day with other totals than its till. The receipts named may explain it; those "
    "that only the POS has never reached the till.",
    "overrides_many": "Supervisors approved unusually much for one cashier on this day. Look what it was, under "
    "Approvals.",
    "decision_differs": "Recomputed from the same inputs, this receipt comes to other figures than the till decided.",
    "inputs_unexplained": "The till used values of the member that nobody had told it. Look at this till.",
    "stale_but_honest": "The till decided by what it had last been told. Today it would come to other figures.",
    "limit_overshot": "Two tills granted the same limited promotion while they were apart. Both stand.",
    "coupon_used_twice": "A coupon was taken at two tills while they were apart. Both stand; look who pays for it.",
    "budget_overshot": "Tills that were apart spent more on a promotion than its budget. All of it stands.",
    "charged_differs": "The cash register took another discount than the one quoted. What was charged was booked.",
    "quote_differs": "The cash register paid for another basket than the one it had quoted. Both are in the receipt.",
    "posted_unreferenced": "The receipt that it takes back never came. After the grace it was booked without one.",
    "void_of_nothing": "It voids what never came, so nothing was booked. Look for what is missing.",
    "account_unknown": "The till named an account that was not here. It was opened and booked on. After a restore "
    "tills say by themselves whose it is; else find out.",
    "partner_differs": "The receipt names another partner than its store's on that day. It was booked as it says.",
    "till_differs": "The receipt names another till than the one that sent it. Look at this till's enrolment.",
    "void_elsewhere": "It voids a receipt of another till, which a till never does by itself. It was booked.",
    "float_overspent": "The till says it spent more points than it was ever granted. Its float was not raised by them.",
    "issuer_over_limit": "What the issuer may still come to owe lies beyond the limit of its contract. Its points "
    "stand; call it to cover them.",
    "rolled_back": "The till went back in time, or there are two of it: two records with one number prove it. What it "
    "spent and nothing covers is borne by its partner.",
    "programme_unknown": "The till worked by a programme that was never published here. Find out where it came from.",
    "over_lease": "The till spent more of a hold or lease than it had. The balance paid for the rest, or owes it.",
    "spent_after_reclaim": "Spent on a lease that was taken back meanwhile. The partner where it was spent bears what "
    "the balance does not cover.",
    "certificate_uncovered": "More was paid with a certificate than was on it, by tills that could not ask each other. "
    "The partner that took it is paid once money comes onto it, and bears the rest.",
    "certificate_blocked": "A till that had not heard took a blocked certificate. It was paid; find out who used it.",
    "certificate_used": "The sale of a certificate was undone of which something had been spent. The partner that gave "
    "the money back bears what was spent.",
    "certificate_returned_more": "More came back onto a certificate, or off it, than the receipt took or put there.",
    "lease_return_differs": "The till gave back more of a hold or lease than it had. Only what was left went back.",
    "grant_not_covered": "Points were set aside that the account did not have. Only what it had was.",
    "lease_restored": "The till showed grants that this centre lost in a restore; what it has left of them is set "
    "aside again. What it spent on them before is among the rows over_lease, and is explained by this.",
    "lease_not_proven": "The till has more of a lease than is here, and showed no grant of ours that was lost. Nothing "
    "was set aside for it. Look at this till.",
    "leases_suspended": "The till spends nothing of its leases and floats, for this reason, until head office has "
    "answered it well. It gets no new ones before.",
    "lease_reclaimed": "The till was not heard in time, so what was left of a lease went back to the balance. What it "
    "may still bring of it is at the risk of its partner.",
    "store_differs": "The receipt names another store than the one this till stands in. It was booked as it says.",
    "batch_damaged": "A batch in the database is not as its till signed it, so its goods were not let go. Run "
    "`tallypoint central verify`; if it names the batch too, bring head office back from a backup.",
    "stream_provisional": "The till lost its numbering (its journal went back in time, or was damaged) and went on in "
    "an epoch that it gave itself. `missing` of its events were announced and are not here; the till, or a file of it, "
    "may still bring them.",
    "stream_unheard": "Events came of an epoch that the till gave itself and in which it never spoke: it went on by "
    "itself more than once, or its disk is in two machines. They are booked; look whether it is two.",
    "enrolment_lost": "The till was enrolled after the backup from which head office was put back, and showed what it "
    "was granted. It sells, but nothing of it is booked yet: it may have been revoked meanwhile, which nobody here can "
    "know. If it is yours, `central resume` lets it bring everything; if it was stolen, `central revoke`.",
    "till_left": "The till gave its place back, and so many of its events are still to come in a file it exported: "
    "`central import`.",
    "card_taken": "A till gave a card to a new member, or to another one, that somebody has already. It stays with "
    "whom it was; call the customer and give them another card. A new member is kept apart, as the account `joined`, "
    "with what they said of themselves and without a card: merge it into the other one if both are one person, else "
    "into the one as which they join again with another card.",
    "card_replaced_twice": "Two tills that were apart put a new card in the place of the same one. Both are the "
    "member's; ask which of them they have, and block the other.",
    "card_has_points": "A new card was used at another till before head office heard whose it is. Its points are moved "
    "to the member by themselves; settle nothing here unless this stays for a day.",
    "card_forgotten": "After a restore a till says that this card was the member's. Whoever gave it has lost that, and "
    "so have we: nobody else can know. Call the member, or look at what they bought; then give it to them, or say why "
    "not.",
    "number_span_unknown": "A till gave out a card number of a span that was never granted here: a restore lost it. "
    "That part of the range is not granted again.",
    "number_outside_span": "A till gave out a card number that it was not granted. Look at this till.",
    "claim_points_differ": "The till told the customer other points for a claimed receipt than it earns by its own "
    "rules. What it earns was granted. Look at this till.",
    "claim_refused": "A receipt was claimed later and not granted, for the reason below. The same receipt claimed "
    "again and again, or by one cashier, is how points are stolen.",
    "claim_stands": "Goods of a receipt that was claimed came back, and what they earned cannot be worked out any "
    "more, for the reason below. The points that were granted stand; take those of the goods back by a correction.",
    "parked_twice": "After a restore a till turned out to have a parked basket that another one was given meanwhile. "
    "See that its goods are sold once.",
    "batch_quarantined": "A till sent what may not be posted: it was stopped or revoked, its enrolment is over, or it "
    "does not follow on what is here. It is kept. `central quarantine` shows it; fix, replay or write it off.",
    "uploads_not_kept": "A till that is stopped or revoked goes on sending, and more than 256 MiB of that are kept "
    "already: what comes now is refused, and stays at the till. Decide what is kept (`central quarantine`); if the "
    "machine was stolen, whoever has it is filling the disk: shut its address out.",
    "sync.fork": "Two histories of one till begin at the same place: its disk was put back or copied. Its uploads rest "
    "and both are kept. Find out whether there are two machines; enrol it anew, or `central resume`.",
    "sync.rewind": "The till has fewer events than it once announced: its disk was put back, or lost some. Its uploads "
    "rest. Look for them at the till; enrol it anew, or `central resume`.",
    "sync.beyond_retention": "This head office was put back to before what the till still keeps. Its uploads rest, and "
    "what it sells stays there. If there is a newer backup, put that back; else enrol the till anew: what it still has "
    "comes then and is kept apart (`central quarantine`), for nobody can say what lay between.",
    "sync.clone": "Two machines speak as one till. Uploads rest. Switch one off, and enrol the other one anew.",
    "sync.replayed": "A request of the till was seen before: a line that repeats, a disk that was put back, or "
    "somebody who recorded it. It was refused and changed nothing. If it goes on, look at this till.",
    "enrolment.code_used": "A one-time code was tried again by another machine. If it was not the shop's own mistake, "
    "somebody has seen the code: revoke the till that enrolled with it, and make another one.",
    "receipt_id_reused": "The till gave an id to two different events. The first is booked, this one is kept apart. If "
    "both were sold, fix it under another id; else write it off.",
    "event.unknown": "This version of head office does not know this kind of event. Update it; then it is booked by "
    "itself.",
    "event.unpostable": "Head office itself trips over this event; its log says where. Tell whoever supports this. It "
    "is tried again by itself after an update; or fix it.",
    "event.out_of_range": "A figure of it cannot be. Fix it, or write it off; look at this till.",
    "event.not_a_tills": "Only head office may say this, and a till did. Nothing was booked; look at this till.",
    "internal.invariant_broken": "It would break a sum of the ledger, so it was kept apart. Tell whoever supports "
    "this; fix it, or replay it after an update.",
    "detail_malformed": "The part that says how the till decided cannot be read, so it was not computed again. What "
    "was paid is booked. Look at this till.",
    "block_lost": "A till, or the folder of copies, knows a later block than is here. The centre lost what was in it.",
    "block_differs": "A till was told another block of this number. This is not the history that the till has seen.",
}
OTHERWISE = "Compare the figures below with the receipt, decide who is right, and note down what you found."


def why(cause: str) -> str:
    """The sentence for a cause; a general one for a cause that has none of its own."""
    return WHY.get(cause, OTHERWISE)


def title(cause: str) -> str:
    """A cause as words."""
    return cause.replace("_", " ").replace(".", ": ")
