"""Measurement of requests to HTTP servers, and of WebSocket connections."""
