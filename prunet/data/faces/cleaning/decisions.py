"""Exclude list while a person decides about faces on the page: every decision is saved at once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from prunet.base.errors import InputError
from prunet.base.files import read_rows
from prunet.data.faces import exclusion
from prunet.data.faces.exclusion import Face, Line

Decided = dict[str, Line]  # by the face's row in the list


class Decisions:
    """Decisions about faces, and the file that holds them.

    Attributes:
        decided: the line of each face that is left out or moved.
        problems: a sentence about each line of the file that has no effect; such lines stay in the file.
        revision: grows with every change.
    """

    def __init__(self, path: Path, faces: Sequence[Face]) -> None:
        """Read the list; a missing one is empty.

        Args:
            path: the exclude list.
            faces: all faces, as for `exclusion.find`.

        Raises:
            InputError: the list is damaged, or has a column that saving would lose.
        """
        self.path, self.faces = path, faces
        self.digits = exclusion.shown_digits(faces)
        self.revision = 0
        self.reload()

    def reload(self) -> None:
        """Read the list again, and forget what could be undone.

        Raises:
            InputError: as on creation; the decisions then stay as they were.
        """
        digest = self._digest()
        lines = [] if digest is None else exclusion.read(self.path)
        for row in [] if digest is None else read_rows(self.path, exclusion.COLUMNS)[:1]:
            if other := set(row) - {*exclusion.COLUMNS, exclusion.MOVE_TO}:
                raise InputError(
                    f"{self.path} has a column {min(other)!r}, which saving here would lose: remove it, "
                    "or edit the list by hand."
                )
        self.decided, self.problems = exclusion.find(lines, self.faces)
        self._lines = lines
        self._rows = {line: self._row(line) for line in lines}
        self._history: list[tuple[list[Line], Decided, str]] = []
        self._saved = digest
        self.revision += 1

    @property
    def changed(self) -> bool:
        """Whether somebody else changed the file since it was read or saved."""
        return self._digest() != self._saved

    def leave_out(self, face: Face, reason: str) -> None:
        """Leave a face out; for the errors, see `keep`."""
        self._decide(face, Line(face["label"], self.name(face), reason))

    def move(self, face: Face, person: str) -> None:
        """Move a face to another person who has faces; for the errors, see `keep`."""
        if person == face["label"] or person not in {other["label"] for other in self.faces}:
            raise InputError(f"a face moves only to another person with faces, not to {person!r}.")
        self._decide(face, Line(face["label"], self.name(face), "wrong person", person))

    def keep(self, face: Face) -> None:
        """Keep a face, whatever was decided before.

        Raises:
            InputError: somebody else changed the file, or it cannot be written; nothing changes then.
        """
        self._decide(face, None)

    def undo(self) -> str | None:
        """Take the last decision back; return the row of its face, or None if there is none.

        Raises:
            InputError: as by `keep`.
        """
        if not self._history:
            return None
        lines, decided, row = self._history[-1]
        self._save(lines)
        self._history.pop()
        self._lines, self.decided = lines, decided
        return row

    def name(self, face: Face) -> str:
        """Return the name of a face, as on the contact sheets."""
        return PurePosixPath(face["image"]).stem[: self.digits]

    def _decide(self, face: Face, line: Line | None) -> None:
        row = face["row"]
        lines = [other for other in self._lines if self._rows[other] != row]
        decided = {other: decision for other, decision in self.decided.items() if other != row}
        if line is not None:
            self._rows[line] = row
            lines.append(line)
            decided[row] = line
        self._save(lines)
        self._history.append((self._lines, self.decided, row))
        self._lines, self.decided = lines, decided

    def _save(self, lines: Sequence[Line]) -> None:
        if self.changed:
            raise InputError(f"{self.path} was changed by somebody else: reload it, then decide again.")
        exclusion.write(self.path, lines)
        self._saved = self._digest()
        self.revision += 1

    def _row(self, line: Line) -> str | None:
        """Return the row of the face that a line is about, if it is about exactly one."""
        found = exclusion.named(line, self.faces)
        return found[0]["row"] if len(found) == 1 else None

    def _digest(self) -> bytes | None:
        """Return a hash of the file, or None if it does not exist."""
        try:
            return hashlib.sha256(self.path.read_bytes()).digest()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}); fix this.") from None
