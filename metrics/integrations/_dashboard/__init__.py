"""Live page of a registry and of the container that owns it."""
