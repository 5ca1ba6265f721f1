"""Log to rows, exactly once: decoding, rows, claim and checkpoint, the worker loop."""
