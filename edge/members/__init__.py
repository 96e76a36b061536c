"""Members and cards at the counter: who joins, whose a card is, what was agreed to, what is claimed later."""
