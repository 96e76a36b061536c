"""The centre's ledger beside what the database can do at most: the P10s of the budgets, growth, a year of history."""
