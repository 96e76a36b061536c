"""The programme document: what a retailer may say, what is wrong with it, and its indexes."""
