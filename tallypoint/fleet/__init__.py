"""The fleet: a coalition's tills and its centre in one process and one thread, in virtual time, under faults."""
