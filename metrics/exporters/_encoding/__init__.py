"""Text and bytes of formats: numbers, names, units, JSON and framing."""
