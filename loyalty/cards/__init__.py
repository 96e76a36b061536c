"""Numbers, codes and keys of cards: from what a reader sent to whose card it is."""
