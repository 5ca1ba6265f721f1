"""What people and programs look at: the pages and the HTTP API; one ASGI app."""
