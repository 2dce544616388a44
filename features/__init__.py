"""Pure, batched computation: waveforms and scalars in, feature rows out. No clock, socket, file or state."""
