"""The tables, and how they are read and written, on SQLite and PostgreSQL."""
