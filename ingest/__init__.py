"""Where telemetry enters: the shared contract, the gate, the journal and the historian."""
