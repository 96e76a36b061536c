"""Laws are looked for without a clock: a slow machine is not a broken rule."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
