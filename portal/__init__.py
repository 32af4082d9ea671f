"""What people see: a static shell fed by the API, and Panel where a click is not enough."""
