"""What facts write into the books."""
