"""Know a network file system by the table of mounts: SQLite loses data there when several machines write."""

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")  # Linux has it; elsewhere nothing is known
# By the names that the table of mounts has; FUSE puts its own before the program's: fuse.sshfs.
NETWORK = {
    *("nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "panfs"),
    *("pvfs2", "wekafs", "sshfs", "rclone", "s3fs", "gcsfuse", "davfs", "juicefs", "curlftpfs"),
}


def network(path: Path) -> str | None:
    """Return the type and place of the network file system that a path lies on, such as `nfs4 at /home`, or None.

    The path need not be there yet. Of several mounts the longest that holds it counts, of equal ones the last.
    """
    try:
        table = MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    place, kind, resolved = Path("/"), "", path.resolve()
    for line in table.splitlines():
        _, at, of, *_ = line.split(" ")
        mount = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), at))  # a blank is \040
        if resolved.is_relative_to(mount) and len(mount.parts) >= len(place.parts):
            place, kind = mount, of
    return f"{kind} at {place}" if kind.removeprefix("fuse.") in NETWORK else None
