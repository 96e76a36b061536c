"""The till over HTTP: routes, pages and who may come in."""
