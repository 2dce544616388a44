"""Online detectors across machines: they score first and learn after, row by row, without a clock."""
