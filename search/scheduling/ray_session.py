"""Ray for a search: of this machine alone, or, on a cluster's head, the cluster's."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from search.cluster.head_node import on_cluster
from search.cluster.packing import as_seen_by_workers
from search.cluster.trial_folders import start_store
from search.disk.folder import SearchFolder
from search.errors import UserError
from search.scheduling import WORKER_ENVIRONMENT
from search.scheduling.machines import Machine, here, of_cluster
from search.spec import Spec
from trainables.files.own_folder import own_folder
from trainables.files.whole_files import make_secret
from trainables.messages import one_line
from trainables.models.kernels import switch

log = logging.getLogger(__name__)

NAMESPACE = "longspan"
"""Of the Ray that a search starts, by which it is known."""

STARTS = 3
"""Each is given 30 s by Ray."""

SECONDS_TO_END = 5.0
"""That a process which was killed is waited for."""

DRIVER_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger keeps the results
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # so that every loss is told to the searcher
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_prestart_worker_first_driver": "0",  # Tune's actors have an environment that those lack
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}
CLUSTER_ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay in the folder of what travelled
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
}
TOKEN = Path("~/.ray/auth_token")
"""What Ray asks of whoever talks to it, unless its environment names another."""

HOW_IN = f"it asks for the token in {TOKEN}"
"""How one is let in to Ray's dashboard."""

OTHER_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True)
class RaySession:
    """A running Ray.

    Attributes:
        machines: that trials may run on
        store: of the trials' folders, where machines do not share a disk; else None
        dashboard: the address of Ray's own pages, if they were asked for on this machine
    """

    machines: list[Machine]
    store: Any | None
    dashboard: str | None = None

    def spec_of_workers(self, spec: Spec, folder: SearchFolder) -> dict[str, Any]:
        """The spec as a worker is given it."""
        if self.store is None:
            return spec.model_dump(mode="json")
        return as_seen_by_workers(spec, folder.files)


@contextmanager
def ray_for(folder: SearchFolder, dashboard: bool = False) -> Iterator[RaySession]:
    """Ray, for the length of the block; a cluster's has its ``dashboard`` anyway."""
    then = f"`{folder.command('resume')}` goes on"
    with _cluster_ray(folder) if on_cluster() else local_ray(dashboard, then) as session:
        yield session


@contextmanager
def local_ray(
    dashboard: bool = False, then: str = "give the same command again"
) -> Iterator[RaySession]:
    """Ray on this machine, for the length of the block, with its ``dashboard`` on request.

    Where it does not come up, ``then`` is what to do when the machine is less busy.

    It listens on 127.0.0.1 alone, and asks for a token that its owner alone can read. A block
    within a block has the outer one's.

    Raises:
        UserError: if it does not come up, another one runs in this process, or a dashboard is asked
            for that was not installed.
    """
    if ray.is_initialized():
        _require_own()
        yield RaySession(here(), None)
        return
    if dashboard:
        _require_dashboard()
    _set(DRIVER_ENVIRONMENT | WORKER_ENVIRONMENT)
    _keep_token_to_its_owner()
    with _ended_as_by_ctrl_c() as again:
        address = _start(dashboard, then)
        again()
        try:
            _say_where_others_reach_it()
            yield RaySession(here(), None, address)
        finally:
            _shut_down()


def start_early(spec: Spec, for_as_long: ExitStack) -> None:
    """Start Ray on this machine, which takes seconds.

    Not where it would be told of twice, by the address of its dashboard.
    """
    if not (on_cluster() or spec.tracking.ray_dashboard):
        for_as_long.enter_context(local_ray())


def _require_own() -> None:
    """Whatever else is on a Ray would lose its workers to a search, and the search its own."""
    if ray.get_runtime_context().namespace != NAMESPACE:
        raise UserError(
            "Ray runs already in this process, started by something else: end it with "
            "`ray.shutdown()`, or search by the command `longspan search`, which starts its own"
        )


def _require_dashboard() -> None:
    try:
        import ray.dashboard.optional_deps  # noqa: F401  # what `ray[default]` adds
    except ImportError as error:
        raise UserError(
            f"tracking.ray_dashboard: Ray is installed without it ({one_line(error)}); "
            "`pip install 'ray[default]'` adds it"
        ) from None


def _start(dashboard: bool, then: str) -> str | None:
    """Start Ray; a machine that is busy is given more tries. The address of its dashboard, if any.

    Raises:
        UserError: in one line, if Ray does not come up.
    """
    reason, place = "", _place()
    for _ in range(STARTS):
        try:
            context = ray.init(
                address="local",
                namespace=NAMESPACE,
                include_dashboard=dashboard,
                dashboard_host="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(place),
            )
            return f"http://{context.dashboard_url}" if dashboard else None
        except Exception as error:  # whatever Ray makes of a machine that is busy or full
            reason = one_line(error, 200)
            if dashboard and "dashboard" in str(error):
                reason = (
                    "its dashboard did not come up in time (tracking.ray_dashboard; a search goes "
                    "without), " + reason.removesuffix(":")
                )
            _shut_down()
            _end_what_was_begun()
    raise UserError(
        f"Ray could not be started on this machine, {STARTS} times: {reason}. It needs room in its "
        f"temporary folder and in shared memory, and ports on 127.0.0.1; {then}, when the machine "
        "is less busy"
    )


def _end_what_was_begun() -> None:
    """End the processes of a Ray that did not come up: it knows of none, and would leave them."""
    import psutil  # Ray's own copy, which is found once Ray is imported

    ours = str(Path(ray.__file__).parent)
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(word.startswith(ours) for word in each.cmdline()):
                each.kill()
                found.append(each)
    psutil.wait_procs(found, SECONDS_TO_END)


def _place() -> Path:
    """Where Ray keeps sockets and logs, which it opens to every user of a machine: behind a door.

    Whoever could write there could put a socket of their own in the place of one of Ray's. The
    name is short, for a socket's is at most 107 bytes; elsewhere than on Linux `TMPDIR` is long.

    Raises:
        UserError: if the folder there is another's.
    """
    shared = os.environ.get("TMPDIR") if sys.platform == "linux" else None
    among = Path(os.environ.get("RAY_TMPDIR") or shared or "/tmp").absolute()
    try:
        own = own_folder(among / f"ray-{os.getuid()}", "what Ray keeps while it runs", "RAY_TMPDIR")
    except (OSError, ValueError) as error:
        raise UserError(f"Ray could not be started on this machine: {one_line(error)}") from None
    return own / "r"


def _keep_token_to_its_owner() -> None:
    """Make the file of Ray's token, which Ray would make for all to read, or take it back: 0600."""
    if os.environ.get("RAY_AUTH_MODE", "token") != "token" or os.environ.keys() & OTHER_TOKENS:
        return
    with suppress(OSError, RuntimeError):  # no home, or none to be written: Ray says so itself
        token = TOKEN.expanduser()
        token.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_secret(token, secrets.token_hex(32).encode())
        token.chmod(0o600)


def _say_where_others_reach_it() -> None:
    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    if reached := [a for a in addresses if not ipaddress.ip_address(a).is_loopback]:
        log.warning(
            "Ray listens on %s, not on 127.0.0.1 alone: it was imported before longspan was",
            ", ".join(reached),
        )


@contextmanager
def _cluster_ray(folder: SearchFolder) -> Iterator[RaySession]:
    _set(DRIVER_ENVIRONMENT | CLUSTER_ENVIRONMENT)
    travels: dict[str, Any] = {"env_vars": switch()}
    if any(folder.files.glob("*")):
        travels["working_dir"] = str(folder.files)
    with _ended_as_by_ctrl_c() as again:
        how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        ray.init(address="auto", runtime_env=travels, **how)
        again()
        try:
            yield RaySession(of_cluster(), start_store(folder.trials))
        finally:
            _shut_down()


def _shut_down() -> None:
    """End Ray here, with no garbage collected meanwhile.

    References to Ray's objects that lie in cycles are given back by whichever thread happens to
    collect them; where that is while Ray's core ends, the core ends the process, with code 1.
    """
    gc.collect()
    collects = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if collects:
            gc.enable()


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[Callable[[], None]]:
    """Let SIGTERM and SIGHUP, of a shutdown or a closed terminal, end a search as Ctrl-C does.

    What is yielded is called when Ray has started: it puts a handler of its own in the place of
    SIGTERM's, which ends the process in the midst of whatever it does. ``nohup`` stays in force.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    taken = [each for each, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(*_: object) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of what a shell runs aside
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGINT)

    def take() -> None:
        for each in taken:
            signal.signal(each, interrupt)

    take()
    try:
        yield take
    finally:
        for each in taken:
            signal.signal(each, before[each] or signal.SIG_DFL)


def machines() -> list[Machine]:
    """The machines that a search started here would run on."""
    if not on_cluster():
        return here()
    with ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR):
        return of_cluster()


def _set(environment: dict[str, str]) -> None:
    os.environ.update({k: v for k, v in environment.items() if k not in os.environ})
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
