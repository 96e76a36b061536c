"""Events become postings: one set, one transaction."""
