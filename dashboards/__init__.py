"""Screens and reports for technicians, data scientists and energy managers."""
