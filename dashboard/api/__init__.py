"""The HTTP API: events in, customers, segments, recommendations and tables out (docs/http-api.md)."""
