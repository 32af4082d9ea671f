"""Where the crowd meets: nodes, menu, tenants with quotas, and people with little credit."""

import json
from pathlib import Path

from catalog.discovery.emulated import EmulatedSet
from catalog.inventory import Device, Node
from catalog.units import GIB, MICRO
from hub import people
from hub.control_context import Control
from hub.policy import ROOT_TENANT
from hub.store.tables import QuotaRow
from tests.site import add_person, add_tenant
from tests.store.clients import checker

CLIENTS, ADMINS = 64, 6
PRICES = {
    "cpu": "0.5", "gpu-quarter": "3", "gpu-half": "6", "gpu-whole": "12", "spare": "1",
    "urgent": "20",
}  # fmt: skip
OFFERS = tuple(PRICES)
_GPU = {"gpu-quarter": "1/4", "gpu-half": "1/2", "gpu-whole": "1", "spare": "1/2", "urgent": "1"}
_MORE = {
    "spare": {"priority": "best-effort", "preemptible": True},
    "urgent": {"priority": "real-time"},
}


def _menu() -> str:
    offers = [
        {
            "id": offer, "kind": "notebook", "title": offer, "price_per_hour": price,
            **_MORE.get(offer, {}),
            "fields": {
                "cpu": {"default": "1", "min": "0.5", "max": "4", "step": "0.5"},
                "memory": {"default": "1Gi", "min": "1Gi", "max": "8Gi", "step": "1Gi"},
                "duration": {"default": "5m", "min": "1m", "max": "1h"},
                **({"gpu": {"fixed": _GPU[offer]}} if offer in _GPU else {}),
            },
        }
        for offer, price in PRICES.items()
    ]  # fmt: skip
    return json.dumps({"offers": offers})


def _devices(node: int) -> tuple[Device, ...]:
    return tuple(
        Device(f"n{node}-{d.id}", d.vendor, d.model, d.memory_mib, d.index, sharing=d.sharing)
        for d in EmulatedSet(count=4).devices()
    )


NODES = tuple(Node(f"n{number}", 24_000, 40 * GIB, _devices(number)) for number in range(2))
SITE = checker.Site(
    {node.name: node.cpu_milli for node in NODES}, {node.name: node.memory_bytes for node in NODES}
)
TENANTS = {"physics": ROOT_TENANT, "optics": "physics", "chemistry": ROOT_TENANT}
QUOTAS = (
    QuotaRow(tenant_id=ROOT_TENANT, person_id="*", dimension="workloads", limit=3),
    QuotaRow(tenant_id=ROOT_TENANT, person_id="*", dimension="gpu", limit=1500),
    QuotaRow(tenant_id="optics", person_id="*", dimension="gpu", limit=1000),
    QuotaRow(tenant_id="physics", person_id="", dimension="gpu", limit=4000),
    QuotaRow(tenant_id="optics", person_id="", dimension="gpu", limit=2500),
    QuotaRow(tenant_id="chemistry", person_id="", dimension="cpu", limit=12_000),
    QuotaRow(tenant_id="chemistry", person_id="", dimension="workloads", limit=9),
    QuotaRow(tenant_id="optics", person_id="", dimension="credits", limit=60 * MICRO),
)
"""Low enough that each of them is reached. They stay as they are while the crowd is there."""


def lay_out(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "menu.yaml").write_text(_menu())


def people_it(control: Control) -> list[str]:
    """Tenants, quotas and a person for each client; their names at the Hub, some of them
    administrators."""
    for tenant, parent in TENANTS.items():
        add_tenant(control, tenant, parent)
    with control.store.write() as session:
        for row in QUOTAS:
            session.merge(QuotaRow(**row.model_dump()))
    homes = [ROOT_TENANT, *TENANTS]
    actors = [
        add_person(control, f"p{number}", homes[number % len(homes)])
        for number in range(CLIENTS - ADMINS)
    ]
    admin = people.actor_of(control, people.ADMIN_LOGIN)
    return [*(actor.login for actor in actors), *[admin.login] * ADMINS]
