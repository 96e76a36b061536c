"""Accounts, the cards that lead to them, and who is behind them."""
