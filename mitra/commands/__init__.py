"""One file a command: it reads options, calls one function of the house, and prints."""
