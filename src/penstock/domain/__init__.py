"""The nouns of serving, as plain values; imports nothing of Penstock but itself."""
