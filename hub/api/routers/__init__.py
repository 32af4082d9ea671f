"""Thin routers: each calls one use case and shows its answer."""
