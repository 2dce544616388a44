"""The shared vocabulary: frozen values, ids, limits, topics, the plant file and the wire codec. No I/O."""
