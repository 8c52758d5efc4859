"""What is promised of every customer's history, reckoned anew from the stored events alone."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from domain.catalogue import Purpose
from domain.clock import from_micros
from support.bank import Line

ENDS = {"message.suppressed/1", "message.accepted/1", "message.rejected/1", "message.unknown/1"}


def check_policy_kept(history: Sequence[Line]) -> None:
    """By the shipped policy nothing leaves at night or over the cap, and what is asked for ends once."""
    zone = ZoneInfo("UTC")
    purposes: dict[str, Purpose] = {}
    ended: Counter[str] = Counter()
    sent: dict[str, date] = {}
    taken_back: set[str] = set()
    for kind, _, recorded_at, _, stored, _ in history:
        body = json.loads(stored)
        if kind in ("customer.registered/1", "customer.changed/1") and body.get("zone"):
            zone = ZoneInfo(body["zone"])
        elif kind == "message.requested/1":
            purposes[body["message"]] = body["purpose"]
        elif kind == "message.sending/1":
            wall = from_micros(recorded_at).astimezone(zone)
            if purposes[body["message"]] != "regulatory":
                assert 8 <= wall.hour < 21, (body, wall)
            if purposes[body["message"]] == "marketing":
                counted = [day for name, day in sent.items() if name not in taken_back]
                recent = [day for day in counted if day > wall.date() - timedelta(days=7)]
                assert len(recent) < 3
                sent[body["message"]] = wall.date()
        elif kind == "message.rejected/1":
            taken_back.add(body["message"])
        if kind in ENDS:
            ended[body["message"]] += 1
    assert ended == Counter(dict.fromkeys(purposes, 1))


def check_consent_and_holds_kept(history: Sequence[Line]) -> None:
    """Marketing leaves with a yes only, which it cites; under a care hold nothing leaves but service.

    Consent and holds are counted from the facts alone, in the order in which they were taken in. Facts are
    about whole channels and all topics.
    """
    holds: set[str] = set()
    words: dict[tuple[str, str], tuple[int, int, bool]] = {}
    asked: dict[str, str] = {}
    for place, (kind, occurred_at, _, _, stored, _) in enumerate(history, start=1):
        body = json.loads(stored)
        if kind.startswith("care_hold."):
            (holds.add if kind == "care_hold.placed/1" else holds.discard)(body["reason"])
        elif kind.startswith("consent."):
            about = body["purpose"], body["channel"]
            word = (occurred_at, place, kind == "consent.granted/1")
            words[about] = max(word, words.get(about, word))
        elif kind == "message.requested/1":
            asked[body["message"]] = body["purpose"]
        elif kind == "message.sending/1":
            purpose = asked[body["message"]]
            said = [w for name in ("*", body["channel"]) if (w := words.get((purpose, name)))]
            assert purpose in ("service", "regulatory") or not holds
            assert purpose != "marketing" or max(said)[2]
            assert purpose != "marketing" or body["consent"] == max(said)[1]
