"""Moves what is loaded towards what is wanted; imports batching, execution, registry and what is below them."""
