"""A family of refresh tokens against a model of it, in every order hypothesis can think of."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sessions_tracking import services
from sessions_tracking.errors import RefreshReused, SessionEnded, SessionRefusal, TokenExpired
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NOON

GRACE_SECONDS = 20
LIFETIME_SECONDS = 30 * 86400


class Family(RuleBasedStateMachine):
    """One session, whose owner and thief present any token it ever had, at any time.

    The model knows what a bystander knows: which tokens were given out, when the last rotation was,
    and whether the family was ended.
    """

    def __init__(self):
        super().__init__()
        self.user = get_user_model().objects.create_user(
            f"{id(self)}-{Session.objects.count()}@x.org"
        )
        self.clock = 0
        pair = services.start_token_session(user=self.user, amr=["pwd"], now=self.now)
        self.given = [pair.refresh]
        self.rotated = 0
        self.session_id = pair.session.pk
        self.is_over = False
        self.is_disabled = False

    @property
    def now(self):
        return NOON + timedelta(seconds=self.clock)

    def present(self, place):
        return services.rotate(refresh_token=self.given[place], now=self.now)

    @rule(seconds=st.sampled_from([0, 1, 19, 20, 21, 600, 86400, 10 * 86400]))
    def wait(self, seconds):
        self.clock += seconds

    @rule(seconds=st.sampled_from([1, 20, 21, 3600]))
    def set_the_clock_back(self, seconds):
        self.clock = max(0, self.clock - seconds)

    @rule()
    def end(self):
        services.end_session(session_id=self.session_id, reason="test", now=self.now)
        self.is_over = True

    @rule(is_active=st.booleans())
    def disable_or_enable_the_user(self, is_active):
        type(self.user).objects.filter(pk=self.user.pk).update(is_active=is_active)
        self.is_disabled = not is_active

    @rule(data=st.data())
    def present_any_token(self, data):
        place = data.draw(st.integers(0, len(self.given) - 1))
        newest = len(self.given) - 1
        distance = abs(self.clock - self.rotated)
        if self.clock >= LIFETIME_SECONDS:
            with pytest.raises(TokenExpired):
                self.present(place)
        elif self.is_over or self.is_disabled:
            with pytest.raises(SessionEnded):
                self.present(place)
        elif place == newest:
            self.given.append(self.present(place).refresh)
            self.rotated = self.clock
        elif place == newest - 1 and distance <= GRACE_SECONDS:
            assert self.present(place).refresh == self.given[newest]
        else:
            with pytest.raises(RefreshReused):
                self.present(place)
            self.is_over = True

    @invariant()
    def the_row_is_what_the_model_says(self):
        session = Session.objects.get(pk=self.session_id)
        assert session.counter == len(self.given) - 1
        assert (session.ended_at is not None) == self.is_over
        assert len(set(self.given)) == len(self.given)

    def teardown(self):
        """Once over, over for ever, whatever the clock and the user do."""
        if self.is_over:
            type(self.user).objects.filter(pk=self.user.pk).update(is_active=True)
            for token in self.given:
                with pytest.raises(SessionRefusal):
                    services.rotate(refresh_token=token, now=NOON)


@pytest.mark.django_db
def test_no_order_of_events_lets_a_family_go_wrong():
    run_state_machine_as_test(
        Family,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
