"""Audiences kept in step elsewhere: files and webhook batches that say who is in one, then who entered and who left."""
