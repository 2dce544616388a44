"""The past in immutable Parquet segments: written by the keeper, read through DuckDB by anyone."""
