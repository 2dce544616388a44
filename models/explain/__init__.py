"""Why the models say what they say: reasons with numbers; the sentences are in `ingest.contract.reasons`."""
