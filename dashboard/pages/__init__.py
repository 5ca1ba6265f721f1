"""The pages that people look at: a Dash app beside the HTTP API, under /app/ (docs/dashboard.md)."""
