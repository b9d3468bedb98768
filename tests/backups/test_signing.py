"""The keys that sign manifests and name contents: derived, and for ever the same ones."""

import pytest

from backups import signing

SECRET = "a secret that this test alone has"
SIGNER = "ed25519:rVjhk34IiVJJroFGe6gql134uX3XlKXsoF1nxDB+SeA="
NAME = "dca7608231bc8901fd02aedf4e5f189501f1434cbe7e94e5694bf4f725c7673a"


@pytest.mark.parametrize("setting", ["SECRET_KEY", "BACKUPS_SIGNING_SECRET"])
def test_derived_keys_stay_what_they_were(settings, setting):
    """With other ones no older manifest is genuine, and every file is sent again."""
    settings.SECRET_KEY_FALLBACKS = []
    setattr(settings, setting, SECRET)
    if setting == "SECRET_KEY":
        settings.BACKUPS_SIGNING_SECRET = ""
    assert signing.signer() == SIGNER
    assert signing.trusted_signers() == {SIGNER}
    assert signing.keyed_digest(b"\1" * 32) == NAME


def test_an_older_secret_is_believed_and_signs_nothing_new(settings):
    settings.BACKUPS_SIGNING_SECRET = ""
    settings.SECRET_KEY_FALLBACKS = [SECRET]
    assert SIGNER in signing.trusted_signers()
    assert signing.signer() != SIGNER
