"""Purges of L2, done in steps, between which others write; one that its process does not live to end is ended by the
next process that opens the environment."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future

from edgeproxy.cache.disk_batch import Batch
from edgeproxy.cache.disk_store import Store
from edgeproxy.cache.purge import Purge, from_json

MOST = 10_000  # purges that may wait; past that, they are one of everything

_NOTE = b"purge:"


class Task:
    """A purge, how far it has come, and how many answers it was about."""

    def __init__(self, purge: Purge) -> None:
        self.purge = purge
        self.done: Future[int] = Future()
        self.count = 0
        self.after = b""
        self.name = b""  # of the note about it in the environment, once there is one


class Purges:
    """The purges that wait, the oldest first. ``add`` may be called on another thread than the rest."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()

    def add(self, purge: Purge) -> Future[int]:
        """Have one done; the future holds how many answers it was about."""
        if len(self._tasks) > MOST:
            last = self._tasks[-1]
            last.purge = last.purge._replace(at=purge.at)
            return last.done
        if len(self._tasks) == MOST:
            purge = Purge("all", b"", soft=False, at=purge.at)
        task = Task(purge)
        self._tasks.append(task)
        return task.done

    def recall(self, store: Store) -> None:
        """Take up what others have noted and not ended."""
        with store.environment.begin() as transaction, transaction.cursor(store.about) as cursor:
            found = cursor.set_range(_NOTE)
            known = {task.name for task in self._tasks}
            while found and cursor.key().startswith(_NOTE):
                if cursor.key() not in known:
                    task = Task(_of_note(cursor.value()))
                    task.name = cursor.key()
                    self._tasks.appendleft(task)
                found = cursor.next()

    def step(self, store: Store, heads: int) -> bool:
        """Do a part of the oldest one, ``heads`` at most; False if none is left. Raises lmdb.Error, and then it still
        waits."""
        if not self._tasks:
            return False
        task = self._tasks[0]
        with Batch(store) as batch:
            count, after = batch.purge(task.purge, task.after, heads)
            if after is not None and not task.name:
                _note(batch, task)
            elif after is None and task.name:
                batch.note(task.name, None)
        task.count += count
        if after is not None:
            task.after = after
            return True
        self._tasks.popleft()
        if not task.done.cancelled():
            task.done.set_result(task.count)
        return bool(self._tasks)

    def note(self, store: Store) -> None:
        """Leave those that are left to the next process. Raises lmdb.Error."""
        with Batch(store) as batch:
            for task in self._tasks:
                if not task.name:
                    _note(batch, task)

    def __len__(self) -> int:
        return len(self._tasks)


def _note(batch: Batch, task: Task) -> None:
    task.name = b"%b%f %d" % (_NOTE, task.purge.at, id(task))
    batch.note(task.name, json.dumps(task.purge.to_json() | {"at": task.purge.at}).encode())


def _of_note(note: bytes) -> Purge:
    """A note that cannot be read stands for a purge of everything: too much rather than too little."""
    try:
        told = json.loads(note)
        return from_json(told, float(told["at"]))
    except (ValueError, KeyError, TypeError):
        return Purge("all", b"", soft=False, at=float("inf"))
