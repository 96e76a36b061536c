"""What a basket costs, earns and may spend, and why."""
