"""A shop's own exports: guessed at, asked about, read in pieces, and made into events."""
