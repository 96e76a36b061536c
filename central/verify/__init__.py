"""The books folded once more from the bytes tills sent, by code that shares nothing with the ledger's."""
