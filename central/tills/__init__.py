"""What tills are told and what they ask."""
