"""A folder of this user's alone in a place that others share, such as /tmp."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def own_folder(folder: Path, holds: str, named_by: str) -> Path:
    """Have the folder: whoever else could write there could put something else in its place.

    Nobody else may look in, either; one that is open to others' eyes is closed.

    Args:
        folder: made where it is not there
        holds: what it is for, in words
        named_by: the variable that names another place

    Raises:
        ValueError: in one line, if it is a link, or another's, or others may write there.
        OSError: if it cannot be made.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ValueError(
            f"{folder}, for {holds}, is not a folder that you alone may write to; remove it, or "
            f"name another place by {named_by}"
        )
    folder.chmod(0o700)
    return folder
