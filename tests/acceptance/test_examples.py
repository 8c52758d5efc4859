"""The examples do what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.slow
def test_messages_leave_through_the_real_libraries_and_a_receipt_comes_back(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "loopback" / "run.py"), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=200)
    assert said.returncode == 0, said.stdout + said.stderr
    # A welcome by e-mail and five greetings for each of three customers.
    assert [line for line in said.stdout.splitlines() if line.endswith("taken")] == [
        "smtp: 6 taken",
        "twilio: 3 taken",
        "fcm: 3 taken",
        "wechat: 3 taken",
    ]
    assert "it reached the customer" in said.stdout
    assert "the record is whole" in said.stdout
