"""Head office: the ledger, verification, reconciliation, settlement, and the console."""
