"""What does not add up, why, and what a person made of it."""
