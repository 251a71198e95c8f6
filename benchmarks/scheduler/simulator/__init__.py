"""A discrete-event simulator of batching schedulers: no clock, no threads; a run is a function of policy, trace and seed."""
