"""The HTTP listeners: the only door to Starlette; imports inference and what is below it, never grpc."""
