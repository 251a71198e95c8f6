"""Who may do what; imports telemetry and domain only."""
