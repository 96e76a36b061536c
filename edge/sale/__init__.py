"""A sale without HTTP: who is at the till, what a basket comes to, and the one step in which it is paid."""
