"""How long it may last: trends with intervals, and "too early to say"."""
