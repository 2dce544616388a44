"""Alarms by ISA-18.2: one alarm a machine and cause, and what people said about it."""
