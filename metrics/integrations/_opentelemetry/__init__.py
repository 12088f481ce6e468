"""Instruments of OpenTelemetry as series of a registry."""
