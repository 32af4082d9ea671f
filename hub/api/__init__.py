"""The public REST API: thin routers over the use cases; schema, errors and sign-in of requests."""
