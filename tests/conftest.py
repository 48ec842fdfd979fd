"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says how busy the machine is; what may take only so long says so itself.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
