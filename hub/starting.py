"""What the Hub's Spawner asks of control: start this granted attempt, is it there, stop it.

Only granted attempts start. A repeated start of a live attempt answers the same address and token,
so that the Hub finds again what it forgot.
"""

import hmac
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from blueprints.notebook import (
    JUPYTER_CONFIG,
    Command,
    Environment,
    render_notebook,
    render_rescue,
)
from catalog.errors import Conflict, Unavailable
from catalog.inventory import Placement
from catalog.units import parse_bytes
from hub import attempts, environments, lab_assets, quarantine, templates
from hub.alone import alone
from hub.attempts import Step
from hub.control_context import Control
from hub.courses import material, material_told
from hub.lifecycle import Status
from hub.settings import CONTROL_PREFIX
from hub.store.tables import AttemptRow, PersonRow, WorkloadRow
from hub.world import placements_of
from spawners.engine import EngineError, LaunchSpec, Observation, PermanentError, Phase, Template
from spawners.local import material as material_program
from spawners.local import rescue as rescue_page
from spawners.local.homes import home_state, prepare_home


@dataclass(frozen=True, slots=True)
class Started:
    """Where the server listens, and the Hub token it was started with."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A live attempt with what its start needs."""

    attempt: AttemptRow
    workload: WorkloadRow
    person: PersonRow


def granted(control: Control, hub_name: str, server: str) -> Granted:
    """The attempt that `server` (a workload id) of this person may start now. Raises Conflict in
    the words that the person should read when there is none."""
    with control.store.write() as session:
        found = session.exec(
            select(AttemptRow, WorkloadRow, PersonRow)
            .where(AttemptRow.workload_id == WorkloadRow.id)
            .where(WorkloadRow.person_id == PersonRow.id)
            .where(WorkloadRow.id == server, PersonRow.hub_name == hub_name)
            .where(col(AttemptRow.released_at).is_(None))
        ).first()
        workload = session.get(WorkloadRow, server)
    if found is not None and found[1].status in {Status.STARTING, Status.RUNNING}:
        return Granted(*found)
    if workload is not None and workload.status == Status.QUEUED:
        said = "it waits in the queue and starts by itself when its turn comes"
    elif workload is not None and not Status(workload.status).live:
        said = f"it has ended: {workload.reason or workload.status}"
    else:
        said = "nothing was granted for it"
    raise Conflict(said, next="start a notebook from the menu", code="not-granted")


def start(
    control: Control, hub_name: str, server: str, args: list[str], env: dict[str, str]
) -> str:
    """Launch a granted attempt unless it was launched already; returns the attempt's id.

    Raises PerijoveError with a message for the person; nothing of it runs then.
    """
    # Noted before the grant is looked at, and both under the writer's lock: a stop at the same
    # moment either comes first, and nothing is launched, or leaves the place held until it can see
    # what it has to stop.
    control.launching.add(server)
    try:
        return _launch(control, granted(control, hub_name, server), args, env)
    finally:
        control.launching.discard(server)


def _launch(control: Control, grant: Granted, args: list[str], env: dict[str, str]) -> str:
    attempt = grant.attempt
    if control.engine.observe([attempt.id]):
        _launched(control, attempt.id)  # a crash may have come between the launch and its mark
        return attempt.id
    try:
        place = _place_of(control, grant)
        spec = _spec(grant, place, _rendered(control, grant, place, tuple(args), env))
        _keep_token(control, attempt.id, env.get("JUPYTERHUB_API_TOKEN", ""))
        control.engine.launch(spec)
    except EngineError as error:
        if isinstance(error, PermanentError):
            quarantine.launch_failed(control, attempt.id)
        raise Unavailable(str(error), next="try again, or tell the administrator") from error
    _launched(control, attempt.id)
    return attempt.id


def _launched(control: Control, attempt_id: str) -> None:
    """Mark it; what ended while it was being launched has no place any more and goes at once."""
    if not attempts.mark_step(control, [attempt_id], Step.LAUNCHED):
        control.engine.stop(attempt_id, 0)
        raise Conflict("it ended while it was starting", next="launch it again")


def started(control: Control, attempt_id: str) -> Started | None:
    """Address and token once it listens; None before. Raises Unavailable when it has ended."""
    seen = control.engine.observe([attempt_id])
    if not seen:
        raise Unavailable("it was never launched")
    match seen[0].phase:
        case Phase.UP:
            with alone(f"what is told about the material of {attempt_id}"):
                material_told.tell(control, attempt_id)
            return Started(seen[0].url, _token_file(control, attempt_id).read_text())
        case Phase.STARTING:
            return None
        case Phase.ENDED:
            exit_ = seen[0].exit
            said = (exit_.message or str(exit_.cause)) if exit_ else "it ended"
            raise Unavailable(f"it ended while starting ({said})")


def person_inside(control: Control, workload_id: str, token: str) -> str:
    """The Hub name of the person whose live server of this workload was started with `token`; empty
    when it was not."""
    with control.store.read() as session:
        found = session.exec(
            select(AttemptRow.id, PersonRow.hub_name)
            .where(AttemptRow.person_id == PersonRow.id, AttemptRow.workload_id == workload_id)
            .where(col(AttemptRow.released_at).is_(None))
        ).first()
    file = _token_file(control, found[0]) if found else None
    if found is None or file is None or not file.exists():
        return ""
    kept = file.read_text()
    same = bool(kept) and hmac.compare_digest(kept.encode(), token.encode())
    return found[1] if same else ""


def drop_token(control: Control, attempt_id: str) -> None:
    """An ended attempt needs its Hub token no more."""
    _token_file(control, attempt_id).unlink(missing_ok=True)


def live(control: Control, hub_name: str, server: str) -> Observation | None:
    """The live processes of this server, for the Hub's poll; None when there are none."""
    seen = _seen(control, hub_name, server)
    return next((found for found in seen if found.phase is not Phase.ENDED), None)


def _seen(control: Control, hub_name: str, server: str) -> list[Observation]:
    with control.store.read() as session:
        ids = session.exec(
            select(AttemptRow.id)
            .where(AttemptRow.workload_id == WorkloadRow.id)
            .where(WorkloadRow.person_id == PersonRow.id)
            .where(WorkloadRow.id == server, PersonRow.hub_name == hub_name)
            .where(col(AttemptRow.released_at).is_(None))
        ).all()
    return control.engine.observe(list(ids)) if ids else []


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it starts: the environment that its course chose, the folder of the course's material
    (empty without any), and what it holds."""

    environment: str
    folder: str
    held: Placement


def _place_of(control: Control, grant: Granted) -> _Place:
    tenant_id = grant.workload.tenant_id
    with control.store.read() as session:
        return _Place(
            environments.chosen_in(session, tenant_id),
            material.folder_in(session, tenant_id),
            placements_of(session, [grant.attempt])[grant.attempt.id],
        )


@dataclass(frozen=True, slots=True)
class _Rendered:
    """What is to run and where it listens; `rescue` is the page for a full home, which no template
    has ready."""

    command: Command
    port: int
    rescue: bool = False
    template: Template | None = None


def _rendered(
    control: Control, grant: Granted, place: _Place, args: tuple[str, ...], env: Mapping[str, str]
) -> _Rendered:
    settings, person = control.settings, grant.person
    home = prepare_home(settings.spaces_dir / "homes", person.hub_name, person.uid)
    quota = parse_bytes(settings.home_quota) if settings.home_quota else None
    state = home_state(home, quota, person.uid)
    folder = _environment(control, place.environment)
    environment = Environment.load(folder)
    port = control.ports.take()
    if state.full:
        note = f"your home is full ({state.reason}): this page helps you make room; it is free"
        attempts.turn_to_rescue(control, grant.attempt.id, note)
        script = settings.spaces_dir / "rescue"
        command = render_rescue(
            environment, script, env, home=home, user=person.hub_name, port=port
        )
        return _Rendered(command, port, rescue=True)
    if not state.writable:
        raise Unavailable(state.reason, next="ask the administrator to mend the home")
    facts = _facts(control, grant) | {"JUPYTER_CONFIG_PATH": str(settings.spaces_dir / "jupyter")}
    facts |= _material(control, grant, place.folder)
    facts |= lab_assets.told(settings, environment.bin.parent)
    command = render_notebook(
        environment, env, args, home=home, user=person.hub_name, port=port, facts=facts
    )
    return _Rendered(command, port, template=templates.of(settings, folder, environment))


def _facts(control: Control, grant: Granted) -> dict[str, str]:
    """What a notebook may read of its place; the engine adds what it holds of a GPU."""
    workload, attempt = grant.workload, grant.attempt
    return {
        "PERIJOVE_WORKLOAD": workload.id,
        "PERIJOVE_OFFER": workload.offer_id,
        "PERIJOVE_TENANT": workload.tenant_id,
        "PERIJOVE_CPU_MILLI": str(attempt.cpu_milli),
        "PERIJOVE_MEMORY_BYTES": str(attempt.memory_bytes),
        "PERIJOVE_LEASE_ENDS_AT": attempt.lease_ends_at.isoformat(),
        "PERIJOVE_API_URL": f"{control.settings.url}{CONTROL_PREFIX}/v1",
    }


def _environment(control: Control, name: str) -> Path:
    """The one that the course chose, or the site's own. Raises Unavailable when it is gone: that was
    told at the launch, so it went since."""
    found = environments.find(control.settings, name)
    if found is None:
        raise Unavailable(
            f"the notebook environment {name!r} of this course is not here any more",
            next="ask the course's staff",
        )
    return found


def _material(control: Control, grant: Granted, folder: str) -> dict[str, str]:
    """What the server is told to bring of the course's material before JupyterLab opens."""
    if not folder:
        return {}
    tenant_id = grant.workload.tenant_id
    material.freshen(control, tenant_id)
    plan = material.plan(control, tenant_id)
    if not plan:
        material_told.tell_missing(control, grant.workload.id)
        return {"PERIJOVE_FOLDER": folder}
    program = control.settings.spaces_dir / "programs" / "material.py"
    return {
        "PERIJOVE_FOLDER": folder,
        "PERIJOVE_MATERIAL": plan,
        "PERIJOVE_MATERIAL_PROGRAM": str(program),
    }


def _spec(grant: Granted, place: _Place, rendered: _Rendered) -> LaunchSpec:
    attempt, person = grant.attempt, grant.person
    command, rescue = rendered.command, rendered.rescue
    return LaunchSpec(
        attempt_id=attempt.id, argv=command.argv, env=command.env, cwd=command.cwd,
        port=rendered.port, template=rendered.template,
        cpu_milli=attempts.RESCUE_CPU_MILLI if rescue else attempt.cpu_milli,
        memory_bytes=attempts.RESCUE_BYTES if rescue else attempt.memory_bytes,
        deadline=attempt.lease_ends_at, uid=person.uid, gid=person.uid,
        shares=() if rescue else place.held.shares, node=attempt.node,
    )  # fmt: skip


def prepare_spaces(control: Control) -> None:
    """Where people's homes, the rescue page and Jupyter's configuration lie: people's own users
    pass through, whatever the umask of this process; nobody but root lists the homes."""
    spaces = control.settings.spaces_dir
    homes = spaces / "homes"
    made = [path for path in (spaces, *spaces.parents) if not path.exists()]
    homes.mkdir(parents=True, exist_ok=True)
    for path in (spaces, *made):
        path.chmod(0o755)
    homes.chmod(0o711)
    _publish(Path(rescue_page.__file__).parent, spaces / "rescue")
    _publish(JUPYTER_CONFIG, spaces / "jupyter")
    lab_assets.point_at_own(control.settings)
    _publish_program(Path(material_program.__file__), spaces / "programs")
    material.prepare_folder(control)


def _publish(source: Path, target: Path) -> None:
    """Copy what people's own users read: a checkout may lie where they cannot go."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _publish_program(source: Path, folder: Path) -> None:
    """Whole or not at all: a server may start at this moment."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    fresh = folder / f".{source.name}.{os.getpid()}"
    shutil.copyfile(source, fresh)
    fresh.chmod(0o644)
    fresh.replace(folder / source.name)


def _token_file(control: Control, attempt_id: str) -> Path:
    return control.settings.run_dir / "tokens" / attempt_id


def _keep_token(control: Control, attempt_id: str, token: str) -> None:
    path = _token_file(control, attempt_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
