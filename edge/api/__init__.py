"""What a POS and the pages send, and what they are told: types, and the way there and back."""
