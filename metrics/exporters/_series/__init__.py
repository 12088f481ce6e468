"""Registry as series, and the state that a reader keeps between two reads."""
