"""Make the pictures in docs/screenshots: ``python -m tests.browser.pictures``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"


def main() -> int:
    """Run the one test that makes them, with its own servers unless the environment names some."""
    os.environ["GARRISON_PICTURES"] = str(FOLDER)
    FOLDER.mkdir(exist_ok=True)
    return pytest.main(["-q", "-p", "no:randomly", "tests/browser/test_pictures.py"])


if __name__ == "__main__":
    sys.exit(main())
