"""How fast it is here, as ratios to a ceiling measured in the same run."""
