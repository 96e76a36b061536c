"""What tests of several folders share: a PostgreSQL of their own, and saying what is missing."""
