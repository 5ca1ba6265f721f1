"""Changes told to other systems over HTTP: signed, in each customer's order, at least once (docs/webhooks.md)."""
