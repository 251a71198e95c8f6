"""Which version gets which requests, and when that changes: rollouts and their judge. Pure: no clock, no I/O; imports the domain."""
