"""The one way in which the starter gives up."""


class StartFailure(Exception):  # noqa: N818 - shown to a person, who reads "failure", not "Error"
    """The start cannot go on; the text says what was found and what to do, and holds no secret."""
