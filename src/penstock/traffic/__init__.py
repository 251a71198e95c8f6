"""How the traffic of a model is divided, compared and judged. Pure: no clock, no I/O; imports `domain/`."""
