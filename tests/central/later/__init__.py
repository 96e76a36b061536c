"""The version of head office after this one, as it might be: another protocol number, and columns in every table."""
