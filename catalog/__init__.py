"""What exists: units, clock, errors, nodes and devices, offers, placement, discovery."""
