"""Joins the verifier's modules into the one file that travels in a pack."""

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

_PACKAGE = "audit.evidence.verifier"
# Each after those that it uses.
_MODULES = ("findings", "ed25519", "merkle", "files", "aesgcm", "history", "documents", "proofs", "running")
_HEAD = '''#!/usr/bin/env python3
"""Checks this evidence pack: python3 -I verify.py [PACK.zip or folder]

Options: --key KEY (as published), --checkpoint FILE (kept elsewhere), --lang zh-CN.

It needs nothing but Python 3.9 or later: no network, no installed package, nothing of the program that made
the pack. Each line says what was checked: "ok" holds, "WRONG" does not, "--" could not be checked here.
The exit code is 0 where everything holds, 1 where something does not.
"""

from __future__ import annotations
'''
_TAIL = '\n\nif __name__ == "__main__":\n    sys.exit(main(sys.argv[1:]))\n'


def verifier_source(texts: Mapping[str, Mapping[str, str]]) -> str:
    """The source of ``verify.py``, which says ``texts`` (sentences by language and code)."""
    imports, bodies = _joined()
    told = json.dumps(texts, ensure_ascii=False, indent=4, sort_keys=True)
    return f"{_HEAD}\n{imports}\n{bodies}\n\nSAID.update(\n{told}\n)\n{_TAIL}"


@lru_cache(maxsize=1)
def _joined() -> tuple[str, str]:
    """The imports of all modules, and what follows them in each."""
    imports: dict[str, None] = {}
    bodies: list[str] = []
    for name in _MODULES:
        source = files(_PACKAGE).joinpath(f"{name}.py").read_text(encoding="utf-8")
        lines, after = source.splitlines(), 0
        for part in ast.parse(source).body:
            if not isinstance(part, ast.Import | ast.ImportFrom):
                if after:
                    break
                continue
            after = part.end_lineno or 0
            inner = isinstance(part, ast.ImportFrom) and (part.module or "").startswith(_PACKAGE)
            if not inner and not ast.unparse(part).startswith("from __future__"):
                imports[ast.unparse(part)] = None
        bodies.append("\n".join(lines[after:]).strip("\n"))
    ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return "\n".join(ordered) + "\n", "\n\n\n".join(bodies)
