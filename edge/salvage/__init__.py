"""Out of the bytes of a damaged journal: what is true of it goes on."""
