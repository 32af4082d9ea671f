"""What this machine has: its cpu and memory, its accelerators and their health."""

from catalog.discovery.machine import Discovery
from catalog.discovery.source import DeviceSource, Reading

__all__ = ["DeviceSource", "Discovery", "Reading"]
