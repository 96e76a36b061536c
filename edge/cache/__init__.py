"""cache.db: what head office tells and can tell again."""
