"""Secret keys that follow each other."""
