"""Pages that applications and servers answer with."""
