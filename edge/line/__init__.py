"""What this till has with head office and with the other tills of its store."""
