"""`perijove status`: what runs, as far as the machine itself shows it."""

from typing import Any

from hub.settings import Settings
from hub.up import ports
from hub.up.door import probe_health
from hub.up.files import read_json
from hub.up.lock import holder_of
from hub.up.processes import Book, Record, is_alive
from hub.up.programs import NAMES


def read_status(settings: Settings) -> dict[str, Any]:
    """``{"processes": [{"name", "pid", "status"}], "url", "ok"}``; works when nothing ever ran.

    `status` is running, starting, failing or stopped; `pid` null when there is no such process.
    `ok` only when all run and the public port says that everything is ready.
    """
    holder = holder_of(settings.run_dir)
    records = Book(settings.run_dir / "processes.json").read()
    inner = read_json(settings.run_dir / "ports.json")
    processes: list[dict[str, Any]] = [
        {
            "name": "up",
            "pid": holder.pid if holder else None,
            "status": "running" if holder else "stopped",
        }
    ]
    for name in NAMES:
        record = records.get(name)
        alive = record is not None and is_alive(record.identity)
        port = inner.get("proxy_api" if name == "proxy" else name)
        processes.append(
            {
                "name": name,
                "pid": record.pid if record and alive else None,
                "status": _status(record, port, alive=alive, supervised=holder is not None),
            }
        )
    all_run = all(process["status"] == "running" for process in processes)
    return {
        "processes": processes,
        "url": holder.url if holder else settings.url,
        "ok": all_run and probe_health(settings)[0],
    }


def _status(record: Record | None, port: object, *, alive: bool, supervised: bool) -> str:
    if supervised and record is not None and record.state == "failing":
        return "failing"
    if not alive:
        return "starting" if supervised else "stopped"
    return "running" if isinstance(port, int) and ports.answers(port) else "starting"
