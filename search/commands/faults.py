"""The last resort of the command: what nobody foresaw is one line, and a file with all of it."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from trainables.messages import named

LONGEST = 300
"""Characters of an error that are told; all of it lies in the file."""

PLAIN = {"≥": ">=", "≤": "<=", "·": "-", "–": "-", "×": "x", "…": "...", "±": "+-", "²": "2"}

WHAT_IS_KEPT = "What was measured is kept"

STDOUT = 1

OURS = ("search", "spaces", "trainables")


def last_resort(error: BaseException) -> str:
    """One line for what is nobody's mistake: what it was, where its trace lies, what to do next.

    An exit that some module asked for is one as well: it would end the command without a word.
    """
    where = _in_own_module(error)
    whose = f"a fault in {where}" if where else "a fault of Longspan's own"
    kept = _kept(error, "its trace:" if where else "please report it with")
    then = [note for note in getattr(error, "__notes__", ()) if note.startswith(WHAT_IS_KEPT)]
    return ". ".join([f"{whose}: {named(error)[:LONGEST]}; {kept}", *then])


@contextmanager
def going_on_by(command: str) -> Iterator[None]:
    """Let a fault within the block be told with the command that goes on; elsewhere none does."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{WHAT_IS_KEPT}: `{command}` goes on")
        raise


def _in_own_module(error: BaseException) -> str:
    """The file and line of somebody's own module, as of a plugin, that raised it; or empty."""
    known = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    for spec in map(find_spec, OURS):  # not imported: a typo is answered without Optuna
        places = spec.submodule_search_locations if spec else None
        known |= {Path(place).resolve() for place in places or ()}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_file() and not known & {*file.resolve().parents}:
            return f"{file}, line {frame.lineno}"
    return ""


def _kept(error: BaseException, said: str) -> str:
    """Where the full trace lies, after what is ``said`` of it.

    In a file for its owner alone, as it may name what is theirs.
    """
    trace = "".join(traceback.format_exception(error))
    content = f"longspan {' '.join(sys.argv[1:])}\nPython {sys.version}\n\n{trace}"
    try:
        handle, path = tempfile.mkstemp(prefix="longspan-fault-", suffix=".txt")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
    except OSError as no_room:
        return f"its trace could not be kept ({named(no_room)[:LONGEST]})"
    return f"{said} {path}"


def speak_plainly() -> None:
    """Where a terminal takes no UTF-8, let signs like ≥ be written in its own letters."""
    codecs.register_error("longspan", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="longspan")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in signs), error.end


def output() -> tuple[int, int]:
    """Which file the output goes to; none where it was closed before the command began."""
    try:
        found = os.fstat(STDOUT)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def output_is_unwanted(error: BaseException, began_as: tuple[int, int]) -> bool:
    """Whether a command ended because whoever read its output, as ``head`` does, has ended.

    Typer and Rich make an exit of a broken pipe, with a code that says that a claim fails; Rich has
    the output go elsewhere by then than where it ``began_as`` going.
    """
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, BrokenPipeError):
        behind = behind.__cause__ or behind.__context__
    return behind is not None and (_is_broken(STDOUT) or output() != began_as)


def _is_broken(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are told unasked
    return bool(poll.poll(0))


def forget_output() -> None:
    """Let what is still to be written go nowhere, rather than raise when the process ends."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDOUT)
        os.close(nowhere)
