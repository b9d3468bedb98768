"""What the system checks say of keys, targets and places."""

from backups import checks, keys, signing
from tests.backups.conftest import storages


def ids(messages):
    return sorted(message.id for message in messages)


def test_a_site_without_a_recipient_is_told(settings):
    settings.BACKUPS_RECIPIENTS = []
    assert ids(checks.check_recipients(None)) == ["backups.W001"]
    settings.BACKUPS_RECIPIENTS = [keys.generate()[1]]
    assert checks.check_recipients(None) == []


def test_targets_must_exist_and_lie_apart(settings, tmp_path):
    settings.STORAGES = storages(tmp_path)
    assert checks.check_targets(None) == []
    settings.BACKUPS_TARGETS = ["nowhere"]
    assert ids(checks.check_targets(None)) == ["backups.W004"]
    inside = storages(tmp_path)["backups"] | {"OPTIONS": {"location": tmp_path / "media/backups"}}
    settings.STORAGES = storages(tmp_path, inside=inside)
    settings.BACKUPS_TARGETS = ["inside"]
    assert ids(checks.check_targets(None)) == ["backups.E005"]


def test_keys_of_single_people_must_not_be_backed_up(settings, tmp_path):
    """Whoever is erased by losing his key stays readable while a backup holds it."""
    apart = storages(tmp_path)["backups"] | {"OPTIONS": {"location": tmp_path / "keys"}}
    settings.STORAGES = storages(tmp_path, subject_keys=apart)
    settings.ENCRYPTION_SUBJECT_KEYS_STORAGE = "subject_keys"
    assert checks.check_targets(None) == []
    settings.BACKUPS_FILE_STORAGES = ["default", "subject_keys"]
    assert ids(checks.check_targets(None)) == ["backups.W011"]
    inside = apart | {"OPTIONS": {"location": tmp_path / "media/keys"}}
    settings.STORAGES = storages(tmp_path, subject_keys=inside)
    settings.BACKUPS_FILE_STORAGES = ["default"]
    assert ids(checks.check_targets(None)) == ["backups.W011"]


def test_a_lock_that_outlasts_the_retention_is_told(settings, tmp_path):
    settings.STORAGES = storages(tmp_path)
    settings.BACKUPS_OBJECT_LOCK_DAYS = 31
    assert ids(checks.check_targets(None)) == ["backups.W010"]


def test_an_identity_where_backups_are_made_is_told(settings, tmp_path):
    path = tmp_path / "identity"
    path.write_text(keys.generate()[0])
    path.chmod(0o644)
    settings.BACKUPS_TARGETS = ["one", "two"]
    settings.BACKUPS_IDENTITY_FILE = str(path)
    settings.BACKUPS_RESTORES_RUN_HERE = False
    assert ids(checks.check_identity(None)) == ["backups.W006", "backups.W007"]
    settings.BACKUPS_RESTORES_RUN_HERE = True
    assert ids(checks.check_identity(None)) == ["backups.W007"]
    path.chmod(0o600)
    assert checks.check_identity(None) == []
    settings.BACKUPS_TARGETS = ["one"]
    assert ids(checks.check_identity(None)) == ["backups.I009"]


def test_a_trusted_signer_must_be_a_public_key(settings):
    settings.BACKUPS_TRUSTED_SIGNERS = [signing.signer(), "ed25519:AAAA", "nonsense"]
    assert ids(checks.check_signers(None)) == ["backups.E008", "backups.E008"]
