"""Ours, as it is served, every protection on; only the limits are raised out of the way."""

from config.settings import *  # noqa: F403 - the whole project is what is measured

RATE_LIMITING_FACTOR = 1_000_000
