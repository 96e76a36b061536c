"""The till service: cache and journal, readers, the sync loop, and the screens of cashier and customer."""
