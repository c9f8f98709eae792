"""Folders of output that a broken run has begun and another goes on with.

A file in the folder is kept where it is newer than the note of how the run began, since files are whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from detector.bulk.sources import Failure, Input
from detector.output import PART, whole_file

NOTE = ".detector-run.json"


class OtherRunError(ValueError):
    """The folder holds what another command has begun; the message says how it differs and what to do."""


def begin(folder: Path, how: Mapping[str, Any], resume: bool) -> None:
    """Note in the folder how a run begins; to go on with a broken one, check that it began in the same way.

    Raises
    ------
    OtherRunError
        It did not.
    OSError
        The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / NOTE
    if resume and note.exists():
        _compare(folder, _noted(note), json.loads(json.dumps(how)))
        _remove_parts(folder)
        return
    with whole_file(note) as file:
        file.write(json.dumps(how, indent=1).encode())


def is_whole(path: Path, folder: Path) -> bool:
    """Whether a file of the run is there."""
    try:
        return path.stat().st_mtime_ns >= (folder / NOTE).stat().st_mtime_ns
    except OSError:
        return False


def digest(inputs: Iterable[Input | Failure]) -> dict[str, Any]:
    """What tells one list of inputs from another, and how many bytes they have."""
    count = size = 0
    hashed = hashlib.sha256()
    for item in inputs:
        if isinstance(item, Input):
            count += 1
            size += item.size
            hashed.update(os.fsencode(f"{item.path}\0{item.size}\0"))
    return {"files": count, "bytes": size, "sha256": hashed.hexdigest()}


def _noted(note: Path) -> dict[str, Any]:
    try:
        noted = json.loads(note.read_bytes())
        return noted if isinstance(noted, dict) else {}
    except ValueError:
        return {}


def _compare(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differing = [name for name in now if then.get(name) != now[name]]
    if differing:
        raise OtherRunError(
            f"{folder}: begun by a run with other {', '.join(differing)}; repeat that command to go on with it, "
            "leave out --resume to begin anew, or name another folder"
        )


def _remove_parts(folder: Path) -> None:
    """What a run that was killed has left half-written."""
    for parent, _, files in os.walk(folder):
        for name in files:
            if name.startswith(".") and name.endswith(PART):
                os.unlink(os.path.join(parent, name))
