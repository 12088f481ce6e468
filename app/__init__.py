"""The agent: measures the machine it runs on and serves what it measured."""
