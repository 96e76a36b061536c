"""Who owes whom: periods, statements, payments."""
