"""Write the reference pages that follow from the code: settings, events, checks, errors, decisions.

``python docs/reference.py`` writes them; ``--check`` exits with 1 where one is out of date.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NOTE = "<!-- Written by docs/reference.py from the code; change it there. -->"
CHECK_ID = re.compile(r'^\w+ = "([a-z_]+\.[EWI]\d{3})"(?:  # (.*))?$', re.MULTILINE)


def _set_up() -> list[str]:
    """Load every app with a throw-away environment, and name the packages."""
    from config.starter import keys

    os.environ |= keys.generate().variables
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "GARRISON_ENV": "production",
        "GARRISON_ENV_FILE": os.devnull,
        "DATABASE_URL": "sqlite://:memory:",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    import django

    django.setup()
    packages = sorted(p.parent.name for p in ROOT.glob("*/conf.py"))
    for package in packages:
        for module in ("conf", "events"):
            if find_spec(f"{package}.{module}"):
                import_module(f"{package}.{module}")
    return packages


def settings_page() -> str:
    """Every setting with its default and its sentence, by app."""
    from garrison import conf

    lines = ["# Settings", "", NOTE, "", "Written in Django's settings; safe as they stand.", ""]
    for prefix, cls in conf.SETTINGS.items():
        declared = list(cls.declared())
        if not declared:
            continue
        lines += [f"## {prefix}", "", "| setting | default | what it does |", "| --- | --- | --- |"]
        for item in declared:
            default = "" if item.setting.secret else f"`{item.setting.default!r}`"
            sentence = item.setting.help.replace("|", "\\|")
            lines.append(
                f"| `{item.setting.name}` | {default.replace('|', chr(92) + '|')} | {sentence} |"
            )
        lines.append("")
    return "\n".join(lines)


def events_page() -> str:
    """Every event kind with its severity and meaning."""
    from garrison import events

    head = [
        "# Security events",
        "",
        NOTE,
        "",
        "The outcome is what happened. The delivery is when listeners run:",
        "`with_change` in the transaction of the change, `after_rollback` after the request.",
        "",
        "A severity means the same in every app, and in alerts:",
        "",
        *(inspect.getdoc(events.Severity) or "").splitlines()[2:],
        "",
        "| kind | severity | outcome | delivery | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows = [
        f"| `{kind.name}` | {kind.severity.name.lower()} | {kind.outcome} | {kind.delivery} "
        f"| {kind.description} |"
        for kind in events.kinds().values()
    ]
    return "\n".join([*head, *rows, ""])


def checks_page(packages: list[str]) -> str:
    """Every check id with the comment beside its constant."""
    lines = [
        "# Checks",
        "",
        NOTE,
        "",
        "`manage.py check` (and `check --deploy`) reports these.",
        "",
        "| id | finds |",
        "| --- | --- |",
    ]
    for package in packages:
        path = ROOT / package / "checks.py"
        if not path.exists():
            continue
        lines += [f"| `{id_}` | {found} |" for id_, found in CHECK_ID.findall(path.read_text())]
    return "\n".join([*lines, ""])


def errors_page() -> str:
    """Every code that an error answer may carry."""
    from http_hardening.codes import error_codes

    head = [
        "# Errors",
        "",
        NOTE,
        "",
        "An error of the API is `application/problem+json` (RFC 9457). Decide by `code`;",
        "`detail` is for people. A code keeps its meaning; the status follows from it.",
        "",
        "| code | status | title |",
        "| --- | --- | --- |",
    ]
    rows = [f"| `{each.code}` | {each.status} | {each.title} |" for each in error_codes()]
    return "\n".join([*head, *rows, ""])


def decisions_page() -> str:
    """Every decision by its number and title."""
    lines = ["# Decisions", "", NOTE, ""]
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        number, _, title = path.read_text().splitlines()[0].removeprefix("# ").partition(" ")
        lines.append(f"* {number} · [{title.removeprefix('· ')}]({path.name})")
    return "\n".join([*lines, ""])


def main() -> int:
    """Write the pages, or compare them."""
    packages = _set_up()
    pages = {
        "settings.md": settings_page(),
        "events.md": events_page(),
        "checks.md": checks_page(packages),
        "errors.md": errors_page(),
        "decisions/README.md": decisions_page(),
    }
    stale = []
    for name, text in pages.items():
        path = ROOT / "docs" / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}. Run `python docs/reference.py`.")
        return 1
    print(f"{'wrote' if stale else 'up to date:'} {', '.join(stale or pages)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
