"""Metrics, statistics and logs; imports domain only."""
