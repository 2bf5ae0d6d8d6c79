"""The demo workspace: a whole story told through the public services, on data whose truth is known."""
