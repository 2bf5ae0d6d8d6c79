"""REST edge under /api/v1: routers only; every rule is in the services they call."""
