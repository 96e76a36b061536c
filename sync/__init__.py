"""What passes between till and centre (TPS/1): messages, chain, envelope and two session state machines.

Pure but for `transport`: no clock, no files, no sockets, no randomness. Times and random bits are handed in.
"""
