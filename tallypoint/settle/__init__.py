"""`tallypoint settle`: a file of events to statement lines."""
