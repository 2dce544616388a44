"""What is claimed can be re-run."""
