"""The command line and the supervisor: wires everything, computes nothing."""
