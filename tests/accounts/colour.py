"""The example of docs/accounts.md: a host's own step, which asks for a colour."""

from accounts.errors import AnswerInvalid
from accounts.steps import Step


class FavouriteColour(Step):
    def require(self, sign_in):
        return ["colour"]

    def verify(self, sign_in, *, method, answer):
        if answer != "green":
            raise AnswerInvalid
        return ["kba"]  # RFC 8176: knowledge-based authentication


class FavouriteNumber(Step):
    """A second one, with two ways to answer."""

    def require(self, sign_in):
        return ["number", "word"]

    def verify(self, sign_in, *, method, answer):
        if (method, answer) not in {("number", "7"), ("word", "seven")}:
            raise AnswerInvalid
        return ["otp"]


class Broken(Step):
    """One that fails as a lost database does, or says no."""

    failure: Exception = RuntimeError("the step is broken")

    def require(self, sign_in):
        raise self.failure
