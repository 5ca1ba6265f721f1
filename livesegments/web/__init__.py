"""How the HTTP API is put together and served: `livesegments web`."""
