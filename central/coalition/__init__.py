"""Partners, stores, tills and the programme they share."""
