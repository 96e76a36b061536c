"""Every receipt decided again, and what came out otherwise."""
