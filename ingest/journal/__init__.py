"""What is stored, and how: one SQLite WAL file with one writer, ingest."""
