"""`penstock traffic rollout`."""
