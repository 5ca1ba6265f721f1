"""What crosses a process boundary: events in, documents out, names of keys and logs."""
