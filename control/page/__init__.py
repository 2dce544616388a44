"""The approver's page: a static bundle, pinned by hash, served by a process that control cannot touch."""
