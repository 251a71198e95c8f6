"""The path of a prediction; imports lifecycle and what is below it, never a wire."""
