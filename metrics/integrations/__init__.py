"""Web frameworks and servers, each imported only by who uses it."""
