"""The pages of head office and of partners."""
