"""Which message, task or call of a life is which of the record's, where their ids are not the same.

Ids come from the passage, and a passage may have its key from a place in the history; where other events come
before it, the place shifts. The one passage of a journey that began at the same instant is the same one.
"""

from collections.abc import Mapping
from datetime import datetime

from domain.enrolment import work_id
from domain.events import EnrolmentStarted, Event, MessageRequested, TaskCreated, WebhookCalled

_VISITS_AT_MOST = 100


class SameWork:
    """Names of this life and of the record; most are the same."""

    def __init__(self, begun: Mapping[tuple[str, datetime], str]) -> None:
        """``begun`` are the passages of the record by journey and instant, "" where several began."""
        self._begun = begun
        self._known = set(begun.values())
        self._passages: dict[str, str] = {}
        self._recorded: dict[str, str] = {}
        self._here: dict[str, str] = {}

    def recorded(self, name: str) -> str:
        """What the record calls it."""
        return self._recorded.get(name, name)

    def here(self, name: str) -> str:
        """What this life calls it."""
        return self._here.get(name, name)

    def note(self, event: Event) -> None:
        """An event of this life."""
        match event.body:
            case EnrolmentStarted(enrolment=passage, journey=journey):
                other = self._begun.get((journey, event.recorded_at), "")
                if other and passage not in self._known:
                    self._passages[passage] = other
            case (
                MessageRequested(message=name, enrolment=passage, step=step)
                | TaskCreated(task=name, enrolment=passage, step=step)
                | WebhookCalled(call=name, enrolment=passage, step=step)
            ) if passage in self._passages:
                self._pair(name, passage, step)
            case _:
                pass

    def _pair(self, name: str, passage: str, step: str) -> None:
        for visit in range(1, _VISITS_AT_MOST):
            if work_id(passage, step=step, visit=visit) == name:
                other = work_id(self._passages[passage], step=step, visit=visit)
                self._recorded[name], self._here[other] = other, name
                return
