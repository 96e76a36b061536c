"""The kernel that till and centre share. Pure: no clock, no files, no network, no randomness."""
