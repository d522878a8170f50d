"""On which file system a folder lies: what several machines share is no place for every file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

NETWORK = frozenset(
    """
    nfs nfs4 cifs smb2 smb3 smbfs lustre ceph beegfs gpfs panfs pvfs2 orangefs glusterfs wekafs
    afs coda dvs gfs2 ocfs2
    fuse.beegfs fuse.blobfuse fuse.blobfuse2 fuse.ceph fuse.ceph-fuse fuse.cvmfs2 fuse.gcsfuse
    fuse.glusterfs fuse.goofys fuse.juicefs fuse.mfs fuse.moosefs fuse.mount-s3 fuse.quobyte
    fuse.rclone fuse.s3fs fuse.seaweedfs fuse.sshfs fuse.weka
    """.split()
)
"""Names by which Linux knows the file systems that several machines may mount at once."""


class Mount(NamedTuple):
    """A file system, and where it is mounted."""

    kind: str
    point: Path


def mountinfo() -> str:
    """What Linux says of the mounts that this process sees; empty where there is no such file."""
    try:
        # a name may be in any encoding
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def mount_of(folder: Path, read: Callable[[], str] = mountinfo) -> Mount | None:
    """The mount that a folder, which need not be there yet, lies in; None if that is not known.

    Args:
        folder: its links are followed.
        read: gives the text of ``/proc/self/mountinfo``.
    """
    folder = folder.resolve()
    found: Mount | None = None
    for line in read().split("\n"):
        mount = _mount(line)
        if mount is None or not folder.is_relative_to(mount.point):
            continue
        # of two at the same point the later one hides the other
        if found is None or len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found


def network_mount(folder: Path, read: Callable[[], str] = mountinfo) -> Mount | None:
    """The mount that a folder lies in if it is a network's; None if not, or if that is not known.

    Args:
        folder: its links are followed.
        read: gives the text of ``/proc/self/mountinfo``.
    """
    mount = mount_of(folder, read)
    return mount if mount is not None and mount.kind in NETWORK else None


def _mount(line: str) -> Mount | None:
    """What a line says: ``36 35 0:31 / /home rw,noatime shared:5 - nfs4 server:/home rw``."""
    # optional fields of any number end with a dash
    before, dash, after = line.partition(" - ")
    fields, described = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6:
        return None
    return Mount(described[0], Path(_unescaped(fields[4])))


def _unescaped(text: str) -> str:
    r"""A path as it is: blanks, tabs, line ends and backslashes are written as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
