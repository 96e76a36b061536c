"""Programmes priced on real receipts."""
