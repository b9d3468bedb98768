"""One project in a process of its own, driven over its standard input and output.

A line ``me 300`` or ``refresh 100`` asks for that many direct WSGI calls; the answer is a JSON list
of the seconds that each took. ``tokens 8`` signs in as many users and answers their access tokens,
for calls over HTTP.
"""

import io
import json
import sys
from time import perf_counter

PASSWORD = "correct horse battery staple 42"


def environ(method, path, token=None, body=b""):
    """Return the environment that a WSGI server would."""
    request = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_USER_AGENT": "bench/1",
        "HTTP_ACCEPT": "application/json",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if token:
        request["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return request


def call(application, request):
    """Make one call, and give status, body and seconds."""
    status = []
    started = perf_counter()
    answer = application(request, lambda s, h, e=None: status.append(s))
    body = b"".join(answer)
    answer.close()
    seconds = perf_counter() - started
    return int(status[0][:3]), body, seconds


def issue(number=0):
    """Sign a user in, by the project's own means."""
    from django.conf import settings
    from django.contrib.auth import get_user_model

    user_model, email = get_user_model(), f"bench-{number}@example.com"
    if "sessions_tracking" in settings.INSTALLED_APPS:
        from sessions_tracking.services import start_token_session

        user = user_model.objects.filter(email=email).first()
        user = user or user_model.objects.create_user(email=email, password=PASSWORD)
        pair = start_token_session(user=user, amr=["pwd"])
        return pair.access, pair.refresh
    from rest_framework_simplejwt.tokens import RefreshToken

    user, _ = user_model.objects.get_or_create(username=email, email=email)
    refresh = RefreshToken.for_user(user)
    return str(refresh.access_token), str(refresh)


def main():
    """Answer orders until the input ends."""
    import django
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    access, refresh = issue()
    print(json.dumps({"django": django.__version__}), flush=True)
    for line in sys.stdin:
        order, _, count = line.strip().partition(" ")
        if order == "tokens":
            print(json.dumps([issue(number)[0] for number in range(int(count))]), flush=True)
            continue
        times = []
        for _ in range(int(count)):
            if order == "me":
                request = environ("GET", "/api/auth/me", access)
            else:
                sent = json.dumps({"refresh": refresh}).encode()
                request = environ("POST", "/api/auth/refresh", body=sent)
            status, body, seconds = call(application, request)
            if status != 200:
                raise SystemExit(f"{order} answered {status}: {body[:300]!r}")
            refresh = json.loads(body).get("refresh", refresh)
            times.append(seconds)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
