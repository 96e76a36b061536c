"""`tallypoint demo`: a small coalition through two business days."""
