"""journal.db and what is kept beside its events: what may not be lost, and how it is written."""
