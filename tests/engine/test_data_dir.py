"""Replicas that share a disk never share a state directory, and a new one takes up what an ended one left."""

import subprocess
import sys
from pathlib import Path

from streams.engine.data_dir import locked_data_dir

HOLD = """
import sys
from pathlib import Path
from streams.engine.data_dir import locked_data_dir
with locked_data_dir(Path(sys.argv[1])) as slot:
    print(slot.name, flush=True)
    sys.stdin.read()
"""


def replica(shared: Path) -> "subprocess.Popen[str]":
    """Another process that claims a directory until its input ends."""
    return subprocess.Popen([sys.executable, "-c", HOLD, str(shared)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def slot_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_every_replica_has_a_directory_of_its_own(tmp_path: Path) -> None:
    with locked_data_dir(tmp_path) as mine, replica(tmp_path) as second:
        assert (mine.name, slot_of(second)) == ("0", "1")
        second.communicate("")


def test_a_killed_replica_leaves_its_directory_with_what_is_in_it_to_the_next(tmp_path: Path) -> None:
    with replica(tmp_path) as first:
        assert slot_of(first) == "0"
        (tmp_path / "0" / "state").write_text("kept")
        first.kill()
    with locked_data_dir(tmp_path) as slot:
        assert (slot / "state").read_text() == "kept"
