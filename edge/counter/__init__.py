"""The counter: one sale at hand, its screens and its slips."""
