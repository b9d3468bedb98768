"""S3 as it is spoken over HTTP, by the storage that a host would use."""

import os
import random
import shutil
import uuid
from datetime import timedelta

import pytest
from django.core.files.storage import storages as django_storages
from django.utils import timezone

from backups import services, targets
from backups.errors import TargetFailed
from backups.models import Backup
from tests.backups import s3_server
from tests.backups.conftest import engines, storages, tree

boto3 = pytest.importorskip("boto3")
pytest.importorskip("storages.backends.s3")
pytestmark = [
    pytest.mark.parametrize("engine", engines()[:1], indirect=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # boto keeps its connections open
]
OTHER = os.environ.get("BACKUPS_S3_ENDPOINT", "")
needs_failures = pytest.mark.skipif(bool(OTHER), reason="only our server fails on demand")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if OTHER:
        yield None
        return
    with s3_server.running() as running:
        yield running


@pytest.fixture
def bucket(site, server):
    """The site with a second target in a bucket of its own."""
    endpoint = OTHER or f"http://127.0.0.1:{server.server_address[1]}"
    name = f"backups-{uuid.uuid4().hex}"
    options = {
        "bucket_name": name,
        "endpoint_url": endpoint,
        "access_key": "key",
        "secret_key": "secret",
        "region_name": "eu-central-1",
        "location": "sites/one",
    }
    backend = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    site.settings.STORAGES = storages(site.root, bucket=backend)
    site.settings.BACKUPS_TARGETS = ["backups", "bucket"]
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    site.client, site.bucket = client, name
    yield site
    django_storages["bucket"].connection.meta.client.close()
    client.close()


def objects(site):
    """Every object by the name that a target knows it by."""
    pages = site.client.get_paginator("list_objects_v2").paginate(Bucket=site.bucket)
    keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
    return {
        key.removeprefix("sites/one/"): site.client.get_object(Bucket=site.bucket, Key=key)[
            "Body"
        ].read()
        for key in keys
    }


def test_a_bucket_holds_the_same_backup_as_the_disk(bucket, server):
    bucket.write("big.bin", random.Random(3).randbytes(20 * 1024 * 1024))
    backup = bucket.back_up()
    assert {copy.target: copy.state for copy in backup.copies.all()} == {
        "backups": "good",
        "bucket": "good",
    }
    assert objects(bucket) == tree(bucket.target)
    assert server is None or server.multipart == 1, "the large one went in parts"
    found = services.verify(now=timezone.now(), target="bucket")
    assert found["bucket"].level == "opened"


@needs_failures
def test_a_large_object_is_never_whole_in_memory(bucket, server):
    bucket.write("big.bin", random.Random(3).randbytes(30 * 1024 * 1024))
    bucket.back_up()
    assert django_storages["bucket"].transfer_config.max_in_memory_upload_chunks == 2
    server.largest_answer = 0
    services.verify(now=timezone.now(), target="bucket")
    assert 0 < server.largest_answer <= 8 * 1024 * 1024


def test_a_site_is_brought_back_from_the_bucket_alone(bucket):
    bucket.back_up()
    rows, files = bucket.execute("SELECT * FROM note ORDER BY id"), tree(bucket.media)
    bucket.empty()
    shutil.rmtree(bucket.media)
    shutil.rmtree(bucket.target)
    bucket.settings.BACKUPS_TARGETS = ["bucket"]
    services.restore(services.plan(services.find()), now=timezone.now())
    assert bucket.execute("SELECT * FROM note ORDER BY id") == rows
    assert tree(bucket.media) == files
    assert services.drill_now(now=timezone.now()).state == "good"


def test_what_is_sent_once_is_not_sent_again_and_what_was_lost_is(bucket):
    bucket.back_up()
    first = set(objects(bucket))
    bucket.back_up()
    second = set(objects(bucket))
    assert {n for n in second - first if n.startswith("files/")} == set()
    lost = next(name for name in first if name.startswith("files/"))
    bucket.client.delete_object(Bucket=bucket.bucket, Key=f"sites/one/{lost}")
    bucket.back_up()
    assert lost in objects(bucket), "copied from the other target"
    services.verify(now=timezone.now())


def test_pruning_deletes_in_the_bucket(bucket):
    bucket.settings.BACKUPS_KEEP_WEEKLY = bucket.settings.BACKUPS_KEEP_MONTHLY = 0
    bucket.settings.BACKUPS_KEEP_LAST = 1
    old = bucket.back_up()
    Backup.objects.update(snapshot_at=timezone.now() - timedelta(days=40))
    bucket.back_up()
    assert services.prune(now=timezone.now()).failures == []
    assert not [name for name in objects(bucket) if old.folder in name]
    services.verify(now=timezone.now())


@needs_failures
@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_a_connection_that_breaks_leaves_no_half_backup(bucket, server, every):
    """The large file breaks inside a multipart upload, the small ones before they exist."""
    bucket.write("big.bin", random.Random(3).randbytes(20 * 1024 * 1024))
    server.every = every
    backup = bucket.back_up()
    server.every = 0
    states = {copy.target: copy.state for copy in backup.copies.all()}
    assert states == {"backups": "good", "bucket": "failed"}
    assert not [name for name in objects(bucket) if backup.folder in name]
    assert server.uploads == {}, "no multipart upload is left open, to be paid for"
    again = bucket.back_up()
    assert set(again.copies.values_list("state", flat=True)) == {"good"}
    services.verify(now=timezone.now())


@needs_failures
def test_a_bucket_that_is_the_only_target_fails_the_run(bucket, server):
    bucket.settings.BACKUPS_TARGETS = ["bucket"]
    server.every = 2
    with pytest.raises(TargetFailed, match="No target could store"):
        bucket.back_up()
    assert not [name for name in objects(bucket) if "manifest" in name]


def test_a_missing_object_is_a_missing_part_and_no_crash(bucket):
    backup = bucket.back_up()
    where = targets.target("bucket")
    for name in where.list(backup.folder)[1]:
        kept = bucket.client.get_object(
            Bucket=bucket.bucket, Key=f"sites/one/{backup.folder}/{name}"
        )["Body"].read()
        where.delete(f"{backup.folder}/{name}")
        with pytest.raises(Exception, match=r"is no file on the target|no whole backup"):
            services.verify(now=timezone.now(), target="bucket")
        bucket.client.put_object(
            Bucket=bucket.bucket, Key=f"sites/one/{backup.folder}/{name}", Body=kept
        )
    services.verify(now=timezone.now(), target="bucket")
