"""Readers, printers and displays at this till."""
