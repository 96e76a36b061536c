"""Baskets laid aside: here, at another till of the store, at another store."""
