"""Backups of head office, and putting one back."""
