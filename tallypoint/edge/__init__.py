"""`tallypoint edge`: each action a module."""
