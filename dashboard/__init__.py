"""What people and programs look at: the HTTP API; one ASGI app."""
