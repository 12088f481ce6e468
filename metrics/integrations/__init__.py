"""Integrations with web frameworks and servers; each imports its framework only when used."""
