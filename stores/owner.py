"""Who holds a lease: a name by which others of the same host can tell that its process is no more."""

import os
import socket
from uuid import uuid4


def owner_name() -> str:
    """A new owner of a lease: host, namespace of process ids, process, and one of its journals."""
    return f"{socket.gethostname()}/{_pid_namespace()}/{os.getpid()}/{uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this host that is no more, so nobody need wait for its lease."""
    host, namespace, process, _ = [*owner.split("/"), "", "", ""][:4]
    if (host, namespace) != (socket.gethostname(), _pid_namespace()):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


def _pid_namespace() -> str:
    """What process ids of this host are told apart by: two containers may share a host's name."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "-"
