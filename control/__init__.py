"""Where people decide whether a machine is stopped. Isolated: it can ask the edge, never command it."""
