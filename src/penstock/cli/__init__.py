"""The `penstock` command: parse, call, print. Nothing imports this package."""
