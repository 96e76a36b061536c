"""The cashier's day and its close."""
