"""Which fault it is, with its evidence; "unknown" is an answer."""
