"""The composition root: the command line, the demo, replay and backtest, and the fleet simulation."""
