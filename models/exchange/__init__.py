"""Signed models for other people's tools. The registry stays the record; what leaves it is a copy."""
