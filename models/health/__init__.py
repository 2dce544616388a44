"""State detection and health assessment of ISO 13374: evidence becomes a health index and a condition."""
