"""`tallypoint replay`: real receipts the whole way."""
