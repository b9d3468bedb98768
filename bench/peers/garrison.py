"""Ours, as it is served, every protection on; only the limits are raised out of the way."""

from config.settings import *  # noqa: F403 - the whole project is what is measured
from config.settings import RATE_LIMITS

RATE_LIMITS = {
    scope: [f"1000000000/{rate.partition('/')[2]}" for rate in rates]
    for scope, rates in RATE_LIMITS.items()
}
