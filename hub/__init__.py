"""The control plane: use cases, reconciler, store, sign-in, API, CLI, wiring."""
