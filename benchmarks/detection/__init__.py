"""Detection, diagnosis and remaining life on public recordings, with the production code and its defaults."""
