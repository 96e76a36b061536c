"""Card readers on a serial line, in three layers: `port` (the device), `framer` (where a message ends), `interpreter`
(what it is). The last two are pure; `profile` says how one reader is set up.
"""
