"""Decides which rows run together and when; imports telemetry and domain, never execution or registry."""
