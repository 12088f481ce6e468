"""Transports: delivery of one payload to one server within a time limit."""
