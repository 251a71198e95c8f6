"""The record of what models were asked and what they answered: sampled, redacted, written beside the server's work."""
