"""The scripts of other people's clients run in environments of their own; they are no tests."""

collect_ignore = ["wrapper_node.py", "wrapper_host.py"]
