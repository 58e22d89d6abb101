"""What all tests share: property tests try the same examples every time, so that a green run stays green."""

from hypothesis import settings

settings.register_profile("same-every-time", derandomize=True, deadline=None)
settings.load_profile("same-every-time")
