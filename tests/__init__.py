"""Mirrors the packages; `house` tests the house around them, `support` holds what tests share."""
