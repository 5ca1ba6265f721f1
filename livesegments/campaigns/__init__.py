"""Campaigns: an audience frozen, a control group held back, and what the treated did more, with its interval."""
