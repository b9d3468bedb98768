"""Settings of http_hardening."""

from __future__ import annotations

import re

from garrison.conf import AppSettings, Setting

# Everything a page could ask a browser for, and none of it granted (W3C permissions policy), as
# far as browsers know the names: an unknown one fills their consoles with warnings.
FEATURES = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
FEATURE = re.compile(r"[a-z]+(-[a-z]+)*", re.ASCII)
ORIGIN = re.compile(r"self|\*|https://[A-Za-z0-9.*-]+(:\d+)?", re.ASCII)
NOTHING_GRANTED: dict[str, list[str]] = {feature: [] for feature in FEATURES}


def _wrong_policy(policy: dict[str, list[str]]) -> str | None:
    for feature, origins in policy.items():
        if not FEATURE.fullmatch(str(feature)):
            return f"{feature!r} is no feature of a browser."
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                return f"{origin!r} for {feature!r} is neither 'self', '*' nor an https:// origin."
    return None


class HttpHardeningSettings(AppSettings, prefix="HTTP_HARDENING"):
    """Each setting with its default and one sentence."""

    api_prefixes = Setting[list[str]](
        ["/api/", "/webhooks/", "/.well-known/"],
        "Path prefixes under which errors are answered as problem+json and nothing may be cached "
        "unless a view says otherwise.",
    )
    permissions_policy = Setting[dict[str, list[str]]](
        NOTHING_GRANTED,
        "Browser features and the origins that may use them ('self', '*' or an https:// origin); "
        "an empty list grants a feature to nobody.",
        validate=_wrong_policy,
    )
    cross_origin_resource_policy = Setting(
        "same-origin",
        "Who may embed what this site answers.",
        choices=("same-origin", "same-site", "cross-origin"),
    )
    longest_body_bytes = Setting(
        1024 * 1024,
        "The longest JSON body that is read; uploads have limits of their own.",
        minimum=1,
    )
    deepest_nesting = Setting(
        20,
        "How many objects and lists of a JSON body may stand inside one another.",
        minimum=1,
    )
    longest_upload_bytes = Setting(
        12 * 1024 * 1024,
        "The longest multipart body that is read, with everything in it.",
        minimum=1,
    )
    api_authentication = Setting[list[str]](
        ["sessions_tracking.authentication.SessionTokenAuthentication"],
        "The classes that find out who calls an API of ours, whatever REST_FRAMEWORK says.",
    )
    api_permissions = Setting[list[str]](
        ["rest_framework.permissions.IsAuthenticated"],
        "The permissions of an API view that names none.",
        validate=lambda paths: None if paths else "without any, every API is open to everybody.",
    )
    api_parsers = Setting[list[str]](
        ["http_hardening.api.parsers.StrictJSONParser"],
        "The parsers that read the bodies sent to an API.",
    )
    api_renderers = Setting[list[str]](
        ["rest_framework.renderers.JSONRenderer"], "The renderers that write an API's answers."
    )
    api_throttles = Setting[list[str]](
        ["rate_limiting.throttles.ScopedThrottle"],
        "The throttles that count requests to an API; none count nothing, which is warned about.",
    )
    api_schema_class = Setting(
        "http_hardening.api.schema.ProblemAutoSchema",
        "The class that describes an API view for OpenAPI.",
        dotted_path=True,
    )
    api_exception_handler = Setting(
        "http_hardening.api.problems.exception_handler",
        "The function that answers what an API view raises.",
        dotted_path=True,
    )
    most_violations_an_hour = Setting(
        200,
        "How many different content security policy violations an hour become events; browsers "
        "of strangers report them, so they can be forged.",
        minimum=0,
    )


settings = HttpHardeningSettings()
