"""Reads the inventory once for each line of standard input: the minutes to move the clock by."""

import json
import sys
from dataclasses import asdict
from datetime import timedelta

from catalog.clock import ManualClock
from catalog.discovery import Discovery
from catalog.discovery.gpu_use import GpuUse


def main() -> None:
    clock = ManualClock()
    discovery, use = Discovery(None, clock=clock), GpuUse(clock)
    for line in sys.stdin:
        clock.advance(timedelta(minutes=float(line)))
        (node,) = discovery.nodes()
        devices = {device.id: asdict(device) for device in node.devices}
        read = {"devices": devices, "warnings": discovery.warnings(), "use": use.by_process()}
        print(json.dumps(read), flush=True)  # noqa: T201 (its answer)


if __name__ == "__main__":
    main()
