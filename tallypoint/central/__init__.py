"""`tallypoint central`: each action a module."""
