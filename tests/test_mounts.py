"""Where a folder lies, by what Linux says of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.mounts import Mount, mount_of, mountinfo, network_mount

# as machines of a cluster, a laptop and a container show them
LINES = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
61 22 0:47 / /nfs/home rw,relatime shared:31 - nfs4 filer:/export/home rw,vers=4.2,addr=10.0.0.2
62 61 8:1 / /nfs/home/ada/scratch rw,relatime shared:32 master:7 - xfs /dev/sdb1 rw,attr2
63 22 0:48 / /nfs/old rw,relatime - nfs filer:/export/old rw,vers=3,nolock
64 22 1273:9 / /lustre/project\0407 rw,noatime shared:33 - lustre 10.1.0.1@o2ib:/lfs rw,flock
65 22 0:50 / /mnt/share rw,relatime shared:34 - cifs //office/share rw,vers=3.1.1
66 22 0:51 / /mnt/remote rw,nosuid,nodev - fuse.sshfs ada@host:/data rw,user_id=1000
67 22 0:52 / /mnt/windows rw,nosuid - fuseblk /dev/sda2 rw,user_id=0
68 22 0:53 / /auto rw,relatime shared:35 - autofs systemd-1 rw,fd=47,direct
69 68 0:54 / /auto rw,relatime shared:36 - nfs4 filer:/export/auto rw,vers=4.2
70 22 0:55 / /covered rw - nfs4 filer:/export/covered rw
71 22 0:56 / /covered rw - tmpfs tmpfs rw
a line that nobody expects
"""


def read() -> str:
    return LINES


@pytest.mark.parametrize(
    ("folder", "kind", "point"),
    [
        ("/home/ada", "ext4", "/"),
        ("/nfs/home", "nfs4", "/nfs/home"),
        ("/nfs/home/ada/not/yet/there", "nfs4", "/nfs/home"),
        ("/nfs/homes", "ext4", "/"),
        ("/nfs/home/ada/scratch/cache", "xfs", "/nfs/home/ada/scratch"),
        ("/lustre/project 7/cache", "lustre", "/lustre/project 7"),
        ("/auto/x", "nfs4", "/auto"),
        ("/covered/x", "tmpfs", "/covered"),
    ],
)
def test_the_innermost_mount_is_that_of_a_folder(folder: str, kind: str, point: str) -> None:
    assert mount_of(Path(folder), read) == Mount(kind, Path(point))


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/nfs/home/ada", "nfs4"),
        ("/nfs/old/x", "nfs"),
        ("/lustre/project 7", "lustre"),
        ("/mnt/share/x", "cifs"),
        ("/mnt/remote/x", "fuse.sshfs"),
        ("/mnt/windows/x", None),
        ("/nfs/home/ada/scratch", None),
        ("/tmp", None),
    ],
)
def test_what_several_machines_may_mount_is_known(folder: str, kind: str | None) -> None:
    mount = network_mount(Path(folder), read)
    assert (mount and mount.kind) == kind


def test_links_are_followed(tmp_path: Path) -> None:
    lines = f"61 22 0:47 / {tmp_path.resolve()}/filer rw - nfs4 filer:/export rw"
    (tmp_path / "filer").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "filer")
    mount = network_mount(tmp_path / "link" / "cache", lambda: lines)
    assert mount == Mount("nfs4", tmp_path.resolve() / "filer")


def test_where_nothing_is_known_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mount_of(Path("/nfs/home"), lambda: "") is None

    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    assert mountinfo() == ""
