"""Keys sort as their events happened."""

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from audit.keys import EPOCH, key_of, least_key

INSTANTS = st.datetimes(min_value=EPOCH.replace(tzinfo=None), timezones=st.just(UTC))


@given(earlier=INSTANTS, later=INSTANTS, one=st.uuids(), other=st.uuids())
def test_an_earlier_event_has_the_lesser_key(earlier, later, one, other):
    if earlier < later:
        assert key_of(earlier, one) < key_of(later, other)


@given(at=INSTANTS, entropy=st.uuids())
def test_the_least_key_bounds_its_instant_on_both_sides(at, entropy):
    key = key_of(at, entropy)
    assert least_key(at) <= key
    if at < datetime.max.replace(tzinfo=UTC):
        assert key < least_key(at + timedelta(microseconds=1))


@given(at=INSTANTS, entropy=st.uuids())
def test_a_key_is_a_uuid_of_version_7_that_tells_its_millisecond(at, entropy):
    key = key_of(at, entropy)
    assert key.version == 7
    assert key.variant == uuid.RFC_4122
    assert key.int >> 80 == (at - EPOCH) // timedelta(milliseconds=1)


def test_instants_before_1970_have_the_least_key_of_all():
    assert least_key(datetime(1901, 1, 1, tzinfo=UTC)) == least_key(
        datetime(1970, 1, 1, tzinfo=UTC)
    )
