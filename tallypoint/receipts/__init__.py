"""`tallypoint receipts`: slips to look at."""
