"""Settings of http_hardening."""

from __future__ import annotations

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
NOTHING_GRANTED: dict[str, list[str]] = {feature: [] for feature in FEATURES}


def _wrong_policy(policy: dict[str, list[str]]) -> str | None:
    from http_hardening.headers import problem_of_permissions

    return problem_of_permissions(policy)


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
        validate=lambda n: None if n >= 1 else f"{n} is below 1.",
    )
    deepest_nesting = Setting(
        20,
        "How many objects and lists of a JSON body may stand inside one another.",
        validate=lambda n: None if n >= 1 else f"{n} is below 1.",
    )
    most_violations_an_hour = Setting(
        200,
        "How many different content security policy violations an hour become events; browsers "
        "of strangers report them, so they can be forged.",
        validate=lambda n: None if n >= 0 else f"{n} is below 0.",
    )


settings = HttpHardeningSettings()
