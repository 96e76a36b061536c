"""Keeping house: chores, doctor, alerts and figures."""
