"""Points that tills may let members spend by themselves."""
