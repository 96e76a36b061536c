"""The till's screens in a real browser."""
