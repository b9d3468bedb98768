"""The pages: every link leads somewhere, every page is reached, and a word has one meaning."""

import re
from importlib import import_module

from tests.architecture.house import PACKAGES, ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/glossary.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| word"))
]


def resolves(path):
    """Import the module, or the longest part of the path that is one, and get the rest of it."""
    try:
        import_module(path)
    except ImportError:
        module, _, name = path.rpartition(".")
        try:
            return hasattr(import_module(module), name)
        except ImportError:
            return False
    return True


def test_a_word_has_one_meaning():
    words = [word.strip() for row in ROWS for word in row[0].split(",")]
    assert len(words) >= 60
    assert sorted(words) == sorted(set(words))
    assert [row for row in ROWS if len(row) != 3 or not row[1]] == []


def test_every_name_in_the_glossary_is_in_the_code():
    names = [name for row in ROWS for name in re.findall(r"`([a-z_]+\.[\w.]+)`", row[2])]
    assert len(names) >= 50
    assert {name.split(".")[0] for name in names} <= set(PACKAGES)
    assert [n for n in names if not resolves(n)] == []


def links(page):
    """Return each link of a page to another one: the file, and the heading in it."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", prose):
        if "://" not in target:
            yield (page.parent / target).resolve() if target else page, heading


def anchors(page):
    """Return the headings of a page as GitHub and GitLab make anchors of them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_every_link_of_the_docs_leads_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target.name}#{heading}"
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for target, heading in links(page)
        if not target.exists() or (heading and heading not in anchors(target))
    ]
    assert broken == []


def test_every_page_is_reached_from_the_entrance():
    reached, waiting = set(), [ROOT / "docs/README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        waiting += [target for target, _ in links(page) if target.suffix == ".md"]
    pages = set((ROOT / "docs").rglob("*.md"))
    assert {str(p.relative_to(ROOT)) for p in pages - reached} == set()
