"""The only process that may stop a machine. It trusts no server: it verifies signatures itself, offline."""
