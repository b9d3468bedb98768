"""An operation reads what it declares and nothing else, and follows our settings alone."""

from __future__ import annotations

import pytest
from django.http import QueryDict
from django.test import RequestFactory
from django.urls import path
from django.views.debug import ExceptionReporter
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from accounts.password import rules
from garrison import checks as garrison_checks
from garrison.errors import ConfigurationError
from http_hardening import checks
from http_hardening.api.operations import operation
from http_hardening.api.serializers import (
    LONGEST_PASSWORD,
    MOST_ROWS,
    PageOutput,
    PageQuery,
    QuerySerializer,
    StrictSerializer,
)
from http_hardening.api.strict_view import PublicAPIView, StrictAPIView
from http_hardening.errors import InvalidQuery

requests = RequestFactory()


class Words(StrictSerializer):
    word = serializers.CharField()


class Letters(QuerySerializer):
    letter = serializers.CharField(max_length=1, required=False)
    several = serializers.ListField(child=serializers.CharField(), required=False)


EITHER = PolymorphicProxySerializer(
    component_name="Either", serializers=[Words, PageOutput], resource_type_field_name=None
)


class Shelf(PublicAPIView):
    throttle_classes = ()

    @operation(query=Letters, returns=Words, many=True)
    def get(self, **given):
        return [{"word": str(given)}]

    @operation(body=Words, returns=Words, status=201)
    def post(self, *, word):
        if word == "fail":
            raise RuntimeError("no room")
        return {"word": word.upper()}

    @operation(returns=EITHER)
    def delete(self):
        return Response({"word": "of its own"}, status=203)

    @operation()
    def put(self):
        """Take nothing, give nothing."""

    @operation(body=Words, status=202)
    def patch(self, **given):
        """Take and give nothing back."""


def ask(method, query="", body=None, view=Shelf):
    request = requests.generic(method, f"/shelf{query}", body or b"", "application/json")
    answer = view.as_view()(request)
    return answer if not hasattr(answer, "render") else answer.render()


def test_what_is_declared_arrives_by_keyword_and_is_written_by_the_serializer():
    answer = ask("POST", body=b'{"word": "a"}')
    assert (answer.status_code, answer.content) == (201, b'{"word":"A"}')
    assert ask("GET", "?letter=a").content == b"[{\"word\":\"{'letter': 'a'}\"}]"
    assert (ask("PUT").status_code, ask("PUT").content) == (204, b"")
    assert ask("PATCH", body=b'{"word": "a"}').status_code == 202
    assert ask("DELETE").content == b'{"word":"of its own"}'


def test_an_operation_is_described_as_it_is_declared():
    patterns = [path("api/shelf", Shelf.as_view())]
    described = SchemaGenerator(patterns=patterns).get_schema(public=True)
    shelf = described["paths"]["/api/shelf"]
    assert shelf["get"]["operationId"] == "api_shelf_list"
    assert [p["name"] for p in shelf["get"]["parameters"]] == ["letter", "several"]
    assert "requestBody" not in shelf["put"]
    own = {"204", "400", "406", "411", "413", "415", "500", "503"}
    assert set(shelf["put"]["responses"]) == own
    assert shelf["patch"]["requestBody"]["content"].keys() == {"application/json"}
    assert "security" not in shelf["patch"]
    (either,) = shelf["delete"]["responses"]["200"]["content"].values()
    assert either["schema"] == {"$ref": "#/components/schemas/Either"}


@pytest.mark.parametrize(
    ("method", "query", "body", "code"),
    [
        ("POST", "", b"{}", "validation_failed"),
        ("POST", "", b'{"word": "a", "more": 1}', "validation_failed"),
        ("POST", "", b'{"word": 1}', "validation_failed"),
        ("POST", "?x=1", b'{"word": "a"}', "invalid_query"),
        ("PUT", "", b'{"more": 1}', "validation_failed"),
        ("PUT", "", b"[]", "not_an_object"),
        ("PUT", "?letter=a", None, "invalid_query"),
        ("GET", "?letter=ab", None, "invalid_query"),
        ("GET", "?letter=a&letter=a", None, "invalid_query"),
        ("GET", "?other", None, "invalid_query"),
        ("GET", "?letter=", None, "invalid_query"),
    ],
)
def test_whatever_else_is_sent_is_refused(method, query, body, code):
    answer = ask(method, query, body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert f'"code": "{code}"' in answer.content.decode()


def test_every_reason_is_named_and_a_flood_of_names_is_cut():
    given = QueryDict("letter=ab&letter=c&" + "&".join(f"n{i}{'x' * 300}=1" for i in range(50)))
    with pytest.raises(InvalidQuery) as refused:
        Letters.read(given)
    codes = [error.code for error in refused.value.errors]
    assert codes.count("unknown_field") == 20
    assert "repeated" in codes
    assert max(len(error.field) for error in refused.value.errors) <= 100


def test_a_list_may_be_given_more_than_once():
    assert Letters.read(QueryDict("several=a&several=b")) == {"several": ["a", "b"]}


@pytest.mark.parametrize("limit", ["0", str(MOST_ROWS + 1), "x", "-1", "1.5"])
def test_a_page_has_a_bounded_length(limit):
    with pytest.raises(InvalidQuery):
        PageQuery.read(QueryDict(f"limit={limit}"))
    assert PageQuery.read(QueryDict()) == {"cursor": "", "limit": 50}


def test_what_a_body_held_is_in_no_error_report():
    request = requests.post("/shelf", b'{"word": "fail"}', "application/json")
    with pytest.raises(RuntimeError) as failed:
        Shelf.as_view()(request)
    reporter = ExceptionReporter(request, failed.type, failed.value, failed.tb)
    frames = [f for f in reporter.get_traceback_frames() if f["function"] in {"post", "handler"}]
    assert [f["function"] for f in frames] == ["handler", "post"]
    assert not [name for f in frames for name, value in f["vars"] if "fail" in value]


def test_a_host_s_rest_framework_is_not_followed(settings):
    settings.REST_FRAMEWORK = {
        "EXCEPTION_HANDLER": "nowhere.to_be_found",
        "DEFAULT_THROTTLE_CLASSES": ["nowhere.to_be_found"],
    }
    assert ask("POST", body=b"{").status_code == 400
    assert issubclass(StrictAPIView.content_negotiation_class, DefaultContentNegotiation)
    assert StrictAPIView.versioning_class is None


def test_each_policy_is_one_setting_and_a_view_s_own_goes_before_it(settings):
    settings.HTTP_HARDENING_API_PERMISSIONS = ["rest_framework.permissions.AllowAny"]
    settings.HTTP_HARDENING_API_AUTHENTICATION = []
    settings.HTTP_HARDENING_API_THROTTLES = []
    settings.HTTP_HARDENING_API_EXCEPTION_HANDLER = "rest_framework.views.exception_handler"

    class Open(StrictAPIView):
        get = Shelf.get

    assert StrictAPIView.permission_classes == (AllowAny,)
    assert ask("GET", view=Open).status_code == 200
    assert ask("DELETE", view=Open).content == b'{"detail":"Method \\"DELETE\\" not allowed."}'
    settings.HTTP_HARDENING_API_PERMISSIONS = ["rest_framework.permissions.IsAuthenticated"]
    assert ask("GET", view=Open).status_code == 403
    assert PublicAPIView.permission_classes == (AllowAny,)


@pytest.mark.parametrize("app", ["sessions_tracking", "rate_limiting"])
def test_an_api_whose_policies_need_a_missing_app_is_not_mounted(app, settings, monkeypatch):
    from http_hardening.api import strict_view

    known = strict_view.apps.get_containing_app_config
    strict_view.policy.cache_clear()
    monkeypatch.setattr(
        strict_view.apps,
        "get_containing_app_config",
        lambda path: None if path.startswith(app) else known(path),
    )
    with pytest.raises(ConfigurationError, match=f"'{app}' is not installed.* HTTP_HARDENING_API_"):
        StrictAPIView.as_view()
    settings.HTTP_HARDENING_API_AUTHENTICATION = []
    settings.HTTP_HARDENING_API_THROTTLES = []
    assert StrictAPIView.as_view()


def test_a_password_has_one_length():
    assert rules.LONGEST_PASSWORD == LONGEST_PASSWORD


def test_no_permission_at_all_is_refused_at_start(settings):
    settings.HTTP_HARDENING_API_PERMISSIONS = []
    assert [m.id for m in garrison_checks.check_settings(None)] == [garrison_checks.E002]


@pytest.mark.parametrize(
    ("name", "value", "id_"),
    [
        ("THROTTLES", [], checks.W008),
        ("PARSERS", ["nowhere.to_be_found"], checks.E009),
        ("RENDERERS", ["http_hardening.api.nothing"], checks.E009),
    ],
)
def test_a_policy_that_cannot_be_followed_is_found_at_start(settings, name, value, id_):
    assert checks.check_api(None) == []
    setattr(settings, f"HTTP_HARDENING_API_{name}", value)
    assert [message.id for message in checks.check_api(None)] == [id_]


def test_prefixes_of_a_host_s_own_are_no_classes(settings):
    settings.HTTP_HARDENING_API_PREFIXES = ["/v1/"]
    assert checks.check_api(None) == []
