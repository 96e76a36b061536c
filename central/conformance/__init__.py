"""A ledger that an outside test kit may ask."""
