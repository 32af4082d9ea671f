"""The local engine: attempts are processes of this machine, each kept by a small detached shim."""
