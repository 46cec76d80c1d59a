"""The environment of the peer Pathway: 138 packages and 1.6 GiB that nothing else needs, in the cache directory."""

import hashlib
import subprocess
import sys
from pathlib import Path

from bench.errors import PeerUnavailable
from testkit.local_services.jars import cache_dir, file_lock

_LOCK = Path(__file__).parents[2] / "requirements" / "pathway.lock"


def python() -> str:
    """The Python that has Pathway; installs it the first time, which takes minutes.

    Raises:
        PeerUnavailable: it cannot be installed.
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    root = cache_dir() / "peers"
    environment = root / f"pathway-{digest}"
    root.mkdir(parents=True, exist_ok=True)
    with file_lock(root / "lock"):
        # An environment cannot be renamed, so a file says that it is complete.
        if not (complete := environment / "complete").exists():
            _install(environment)
            complete.touch()
    return str(environment / "bin" / "python")


def _install(environment: Path) -> None:
    pip = [str(environment / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailable(f"Pathway cannot be installed: {error}. Run without it (--contender).") from error
