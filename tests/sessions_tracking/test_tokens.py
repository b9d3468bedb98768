"""What tokens say, and everything that is not one of ours."""

import base64
import json
import uuid
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
from django.test import override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError
from rest_framework_simplejwt.tokens import AccessToken

from sessions_tracking import signing_keys, token_frame, tokens
from sessions_tracking.errors import SessionRefusal, TokenExpired, TokenInvalid
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NEW, NOON, OLD, ed25519_pem

SIGNED_WITH_OLD = override_settings(SESSIONS_SIGNING_KEYS=[OLD])
KNOWN_KEYS = override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD])


def a_session(**fields):
    """Make a row without a database."""
    return Session(
        **{
            "user_id": uuid.UUID(int=7),
            "kind": "token",
            "key_id": "k1",
            "counter": 3,
            "amr": ["pwd", "otp"],
            "created_at": NOON,
            "authenticated_at": NOON,
            "rotated_at": NOON,
            "last_seen_at": NOON,
            "expires_at": NOON + timedelta(days=30),
            "idle_expires_at": NOON + timedelta(days=30),
        }
        | fields
    )


def access(session=None, now=NOON):
    return tokens.SessionAccessToken.issue(session=session or a_session(), now=now)


def refresh(session=None):
    return tokens.SessionRefreshToken.issue(session=session or a_session())


def parts(token):
    header, payload, _ = token.split(".")
    return [json.loads(token_frame.decode_segment(part.encode())) for part in (header, payload)]


def signed(claims, *, use="access", kid="k1"):
    """Sign arbitrary claims as only this site could."""
    backend = token_frame.backend(use)
    message = backend._headers[kid] + b"." + token_frame.encode_segment(json.dumps(claims).encode())
    signature = token_frame.encode_segment(backend._signers[kid].sign(message))
    return (message + b"." + signature).decode()


def test_the_classes_are_those_of_simplejwt():
    assert issubclass(tokens.SessionAccessToken, AccessToken)
    assert issubclass(token_frame.KeyringBackend, TokenBackend)


@SIGNED_WITH_OLD
def test_an_access_token_says_what_rfc_9068_asks_for():
    session = a_session()
    header, claims = parts(access(session))
    assert header == {"alg": "HS256", "kid": "k1", "typ": "at+jwt"}
    jti = claims.pop("jti")
    assert len(jti) == 32
    assert claims == {
        "iss": "django-garrison",
        "aud": "django-garrison-api",
        "sub": str(session.user_id),
        "sid": str(session.pk),
        "iat": int(NOON.timestamp()),
        "exp": int(NOON.timestamp()) + 900,
        "auth_time": int(NOON.timestamp()),
        "amr": ["pwd", "otp"],
    }


@SIGNED_WITH_OLD
def test_an_access_token_is_read_back_in_its_right_types():
    session = a_session()
    claims = tokens.read_access(access(session), now=NOON)
    assert claims.session_id == session.pk
    assert claims.subject == str(session.user_id)
    assert claims.amr == ("pwd", "otp")
    assert claims.expires_at - claims.issued_at == 900


@SIGNED_WITH_OLD
def test_an_access_token_never_outlives_its_session():
    session = a_session(expires_at=NOON + timedelta(seconds=70))
    assert tokens.read_access(access(session), now=NOON).expires_at == NOON.timestamp() + 70


@SIGNED_WITH_OLD
@pytest.mark.parametrize(("seconds", "good"), [(899, True), (900, False), (10**6, False)])
def test_an_access_token_expires_at_its_second(seconds, good):
    token, later = access(), NOON + timedelta(seconds=seconds)
    if good:
        assert tokens.read_access(token, now=later)
    else:
        with pytest.raises(TokenExpired):
            tokens.read_access(token, now=later)


@SIGNED_WITH_OLD
def test_a_token_is_refused_before_its_nbf():
    claims = parts(access())[1]
    early = signed(claims | {"nbf": int(NOON.timestamp()) + 5})
    with pytest.raises(TokenInvalid):
        tokens.read_access(early, now=NOON)
    assert tokens.read_access(early, now=NOON + timedelta(seconds=5))


@SIGNED_WITH_OLD
def test_the_refresh_token_of_a_row_is_always_the_same_bytes():
    session = a_session()
    assert len({refresh(session) for _ in range(5)}) == 1
    assert refresh(session) != refresh(a_session(pk=session.pk, counter=4))
    header, claims = parts(refresh(session))
    assert header == {"alg": "HS256", "kid": "k1", "typ": "rt+jwt"}
    assert set(claims) == {"iss", "aud", "sid", "cnt", "jti", "iat", "exp"}


@SIGNED_WITH_OLD
def test_a_refresh_token_with_another_id_is_refused_even_when_signed():
    claims = parts(refresh())[1]
    other = "A" if claims["jti"][0] != "A" else "B"
    for jti in (other + claims["jti"][1:], "", "ü", "\ud800"):
        with pytest.raises(TokenInvalid):
            tokens.read_refresh(signed(claims | {"jti": jti}, use="refresh"), now=NOON)


@SIGNED_WITH_OLD
def test_neither_kind_of_token_passes_for_the_other():
    with pytest.raises(TokenInvalid):
        tokens.read_access(refresh(), now=NOON)
    with pytest.raises(TokenInvalid):
        tokens.read_refresh(access(), now=NOON)


@SIGNED_WITH_OLD
def test_neither_kind_passes_for_the_other_under_a_swapped_header():
    """The uses have keys of their own, so a header says nothing that the signature does not."""
    for token, other, read in (
        (refresh(), access(), tokens.read_access),
        (access(), refresh(), tokens.read_refresh),
    ):
        _, rest = token.split(".", 1)
        with pytest.raises(TokenInvalid):
            read(f"{other.split('.')[0]}.{rest}", now=NOON)


def test_tokens_of_a_retired_key_are_good_while_it_is_configured():
    with SIGNED_WITH_OLD:
        session = a_session()
        pair = access(session), refresh(session)
    with KNOWN_KEYS:
        assert tokens.read_access(pair[0], now=NOON).session_id == session.pk
        assert tokens.read_refresh(pair[1], now=NOON).kid == "k1"
        assert parts(access(session))[0]["kid"] == "k2"
        assert refresh(session) == pair[1]
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW]):
        for read, token in zip((tokens.read_access, tokens.read_refresh), pair, strict=True):
            with pytest.raises(TokenInvalid):
                read(token, now=NOON)


@pytest.mark.parametrize("setting", ["SESSIONS_ISSUER", "SESSIONS_AUDIENCE"])
def test_a_token_of_another_issuer_or_for_another_audience_is_refused(setting):
    with override_settings(SESSIONS_SIGNING_KEYS=[OLD], **{setting: "somebody-else"}):
        token = access()
    with SIGNED_WITH_OLD, pytest.raises(TokenInvalid):
        tokens.read_access(token, now=NOON)


def test_others_verify_our_access_tokens_with_the_published_keys():
    with override_settings(SESSIONS_SIGNING_KEYS=[f"ed1:{ed25519_pem()}"]):
        token = access(now=NOON + timedelta(days=36500))
        (jwk,) = signing_keys.public_jwks()["keys"]
        claims = jwt.decode(
            token,
            jwt.PyJWK(jwk),
            algorithms=["EdDSA"],
            audience="django-garrison-api",
            issuer="django-garrison",
            options={"verify_iat": False, "verify_exp": False},
        )
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": "ed1", "typ": "at+jwt"}
    assert claims["amr"] == ["pwd", "otp"]


def test_an_altered_token_under_a_public_key_is_refused():
    with override_settings(SESSIONS_SIGNING_KEYS=[f"ed1:{ed25519_pem()}"]):
        message, _, signature = access().rpartition(".")
        other = "A" if signature[0] != "A" else "B"
        with pytest.raises(TokenInvalid):
            tokens.read_access(f"{message}.{other}{signature[1:]}", now=NOON)


def test_refresh_tokens_are_symmetric_even_beside_public_keys():
    with override_settings(SESSIONS_SIGNING_KEYS=[f"ed1:{ed25519_pem()}"]):
        session = a_session(key_id="ed1")
        assert parts(refresh(session))[0]["alg"] == "HS256"
        assert tokens.read_refresh(refresh(session), now=NOON).counter == 3


def test_a_public_key_does_not_verify_what_it_signed_as_a_secret():
    """The classic confusion: sign with HS256 and the published key, and hope for the best."""
    with override_settings(SESSIONS_SIGNING_KEYS=[f"ed1:{ed25519_pem()}"]):
        x = signing_keys.public_jwks()["keys"][0]["x"]
        secret = base64.urlsafe_b64decode(x + "=")
        headers = {"kid": "ed1", "typ": "at+jwt"}
        forged = jwt.encode(parts(access())[1], secret, algorithm="HS256", headers=headers)
        with pytest.raises(TokenInvalid):
            tokens.read_access(forged, now=NOON)


HOSTILE_HEADERS = [
    {"alg": "none"},
    {"alg": "None", "kid": "k1", "typ": "at+jwt"},
    {"alg": "none", "kid": "k1", "typ": "at+jwt"},
    {"alg": "HS256", "typ": "at+jwt"},
    {"alg": "HS256", "kid": "k9", "typ": "at+jwt"},
    {"alg": "HS256", "kid": "../../../../dev/null", "typ": "at+jwt"},
    {"alg": "HS256", "kid": "' OR 1=1 --", "typ": "at+jwt"},
    {"alg": "HS256", "kid": None, "typ": "at+jwt"},
    {"alg": "HS256", "kid": ["k1"], "typ": "at+jwt"},
    {"alg": "HS256", "kid": "k1\x00", "typ": "at+jwt"},
    {"alg": "HS256", "kid": "k1", "typ": "JWT"},
    {"alg": "HS256", "kid": "k1", "typ": "rt+jwt"},
    {"alg": "HS512", "kid": "k1", "typ": "at+jwt"},
    {"alg": "HS256", "kid": "k1", "typ": "at+jwt", "crit": ["b64"], "b64": False},
    {"alg": "HS256", "kid": "k1", "typ": "at+jwt", "jwk": {"kty": "oct", "k": "AAAA"}},
    {"alg": "HS256", "kid": "k1", "typ": "at+jwt", "jku": "https://example.org/keys"},
    {"typ": "at+jwt", "kid": "k1", "alg": "HS256"},  # ours, but not in our spelling
    [],
    "k1",
]


@SIGNED_WITH_OLD
@pytest.mark.parametrize("header", HOSTILE_HEADERS, ids=str)
def test_a_header_that_is_not_one_of_ours_is_refused_whatever_the_signature(header):
    _, payload, signature = access().split(".")
    written = token_frame.encode_segment(json.dumps(header, separators=(",", ":")).encode())
    message = written + b"." + payload.encode()
    right = token_frame.encode_segment(
        signing_keys.read([OLD]).active.access.sign(message)
    ).decode()
    for last in (signature, "", right):
        with pytest.raises(TokenInvalid):
            tokens.read_access(f"{written.decode()}.{payload}.{last}", now=NOON)


@SIGNED_WITH_OLD
def test_a_changed_letter_anywhere_is_refused():
    token = access()
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(TokenInvalid):
            tokens.read_access(token[:place] + other + token[place + 1 :], now=NOON)


@SIGNED_WITH_OLD
@pytest.mark.parametrize("suffix", ["=", "==", "\n", " ", ".", "!", "\x00", "é"])
def test_a_signature_has_one_spelling(suffix):
    with pytest.raises(TokenInvalid):
        tokens.read_access(access() + suffix, now=NOON)


@SIGNED_WITH_OLD
def test_a_token_longer_than_any_of_ours_is_refused_unread():
    header, payload, signature = access().split(".")
    for token in ("A" * 10_000_000, f"{header}.{payload}{'A' * 5000}.{signature}"):
        with pytest.raises(TokenInvalid):
            tokens.read_access(token, now=NOON)


@SIGNED_WITH_OLD
def test_a_long_token_is_refused_even_under_a_good_signature():
    claims = parts(access())[1]
    assert tokens.read_access(signed(claims | {"note": "x" * 2000}), now=NOON)
    with pytest.raises(TokenInvalid):
        tokens.read_access(signed(claims | {"note": "x" * 4000}), now=NOON)


@SIGNED_WITH_OLD
def test_nothing_is_read_without_being_verified():
    with pytest.raises(TokenBackendError, match="never read without being verified"):
        token_frame.backend("access").decode(access(), verify=False)


@given(
    st.one_of(
        st.text(),
        st.binary().map(lambda b: b.decode("latin-1")),
        st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*"),
    )
)
@example("")
@example("..")
@example("\x00.\x00.\x00")
@example("\ud800.a.b")
def test_garbage_is_refused_and_nothing_else_happens(text):
    for read in (tokens.read_access, tokens.read_refresh):
        with pytest.raises(TokenInvalid):
            read(text, now=NOON)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats()
    | st.text(max_size=40)
    | st.just(str(uuid.UUID(int=5))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
CLAIMS = ("sid", "sub", "jti", "iat", "exp", "nbf", "auth_time", "amr", "cnt", "iss", "aud")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(CLAIMS), JSON), st.sampled_from(["access", "refresh"]))
def test_claims_of_any_type_are_refused_even_under_a_good_signature(changes, use):
    """Only a leaked key could sign these; even then they are a 401, and never a crash."""
    with SIGNED_WITH_OLD:
        good = access() if use == "access" else refresh()
        read = tokens.read_access if use == "access" else tokens.read_refresh
        token = signed(parts(good)[1] | changes, use=use)
        try:
            read(token, now=NOON)
        except SessionRefusal:
            return
        claims = parts(token)[1]
        assert type(claims["iat"]) is int
        assert type(claims["exp"]) is int
        assert claims["exp"] > NOON.timestamp()
        assert uuid.UUID(claims["sid"])


@SIGNED_WITH_OLD
@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b'"sid"', b"{", b"\xff\xfe", b"1" * 3000, b"[" * 3000]
)
def test_a_signed_payload_that_is_no_object_is_refused(payload):
    backend = token_frame.backend("access")
    message = backend._headers["k1"] + b"." + token_frame.encode_segment(payload)
    token = message + b"." + token_frame.encode_segment(backend._signers["k1"].sign(message))
    with pytest.raises(TokenInvalid):
        tokens.read_access(token, now=NOON)


@SIGNED_WITH_OLD
def test_a_missing_claim_is_refused():
    claims = parts(access())[1]
    for name in claims:
        rest = {key: value for key, value in claims.items() if key != name}
        with pytest.raises(TokenInvalid):
            tokens.read_access(signed(rest), now=NOON)


def test_a_pair_shows_no_token_in_its_repr(pair):
    assert pair.access not in repr(pair)
    assert pair.refresh not in repr(pair)
    assert pair.access not in repr(replace(pair, access_expires_in=1))
