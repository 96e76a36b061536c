"""What happened, as it is written down: receipts, returns, and everything else a stream holds."""
