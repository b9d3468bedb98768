"""The rows hold what they promise, also where the ORM is gone around."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate, get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import LockoutBucket, MailedCode, User
from accounts.models.mailed_code import Purpose
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def test_an_address_is_folded_on_every_way_into_the_row(ada):
    typed = "\uff22OB@Example.ORG"
    saved = User(email=typed)
    saved.save()
    assert saved.email == "bob@example.org"
    (bulk,) = User.objects.bulk_create([User(email="CAROL@example.org")])
    User.objects.filter(pk=ada.pk).update(email="ADA2@Example.org")
    stored = set(User.objects.values_list("email", flat=True))
    assert stored == {"bob@example.org", "carol@example.org", "ada2@example.org"}
    assert User.objects.get(pk=bulk.pk).email == "carol@example.org"


def test_an_address_is_found_in_every_spelling(ada):
    assert User.objects.get(email="ADA@EXAMPLE.ORG") == ada
    assert User.objects.get_by_natural_key("\uff21da@example.org") == ada
    assert User.objects.filter(email__in=["ADA@EXAMPLE.ORG", "x"]).get() == ada


def test_a_name_that_nobody_can_have_is_not_looked_up(django_assert_num_queries):
    for name in (None, "", "a\0b", "\ud800", "x" * 300):
        with django_assert_num_queries(0), pytest.raises(User.DoesNotExist):
            User.objects.get_by_natural_key(name)


def test_the_asynchronous_lookup_is_as_strict():
    with pytest.raises(User.DoesNotExist):
        async_to_sync(User.objects.aget_by_natural_key)("a\0b")


def test_two_accounts_of_one_address_are_refused_by_the_database_in_every_spelling(ada):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(email="ADA@example.org")
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,  # past the ORM and its folding
    ):
        cursor.execute(
            "INSERT INTO accounts_user (id, email, name, password, is_superuser, is_staff,"
            " is_active, joined_at) VALUES (%s, 'ADA@example.org', '', '', %s, %s, %s, %s)",
            ["0" * 32, False, False, True, "2026-01-01 00:00:00+00:00"],
        )


def test_an_account_without_an_address_is_refused_by_the_database():
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="")


@pytest.mark.parametrize(
    "wrong", [{"name": "a\0b"}, {"name": "a\nb"}, {"name": "a\u202eb"}, {"name": "x" * 151}]
)
def test_a_name_with_control_characters_or_too_long_is_not_valid(ada, wrong):
    for field, value in wrong.items():
        setattr(ada, field, value)
    with pytest.raises(ValidationError) as refused:
        ada.full_clean()
    assert set(refused.value.message_dict) == set(wrong)


def test_a_name_of_any_script_is_valid(ada):
    ada.name = "Ада Лавлейс エイダ O'Hara"
    ada.full_clean()
    assert ada.get_short_name() == "Ада"


def test_an_account_without_a_name_is_called_by_its_address(db):
    user = User(email="bob@example.org")
    assert (user.get_full_name(), user.get_short_name(), str(user)) == ("bob@example.org",) * 3


def test_an_account_without_a_password_opens_to_none(rf):
    get_user_model().objects.create_user(email="bob@example.org")
    assert authenticate(rf.post("/"), username="bob@example.org", password="") is None
    assert authenticate(rf.post("/"), username="bob@example.org", password=PASSWORD) is None


def test_a_superuser_is_verified_from_the_start(db):
    root = User.objects.create_superuser(email="root@example.org", password=PASSWORD)
    assert root.is_staff
    assert root.is_superuser
    assert root.is_email_verified


def test_there_is_one_live_code_for_each_purpose_and_number(ada):
    MailedCode.objects.create(
        user=ada, purpose=Purpose.VERIFY_EMAIL, digest="a", expires_at=timezone.now()
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        MailedCode.objects.create(
            user=ada, purpose=Purpose.VERIFY_EMAIL, digest="b", expires_at=timezone.now()
        )


def test_no_digest_and_no_name_is_shown_in_the_text_of_a_row(ada):
    code = MailedCode(user=ada, purpose=Purpose.VERIFY_EMAIL, digest="secret-digest")
    assert "secret-digest" not in str(code)
    assert str(LockoutBucket(key="account:abc:elsewhere")) == "account:abc:elsewhere"
