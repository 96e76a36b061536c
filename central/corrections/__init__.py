"""What people ask of the books, and what the calendar takes."""
