"""What really happens to machines: killed, cut off from power, full or broken disks, bad lines. On real files.

A short set runs with the tests; `make faults` runs all of it (LONG=1).
"""
