"""How many examples the property tests try: HYPOTHESIS_PROFILE=quick (the default) or long."""

import os

from hypothesis import HealthCheck, settings

from plugin.interpreters import MicroPython

# On a busy computer everything is slow; and the quick run, which must pass anywhere, tries the
# same examples each time: it is the long one that looks for new ones.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", patient, max_examples=300, derandomize=True)
settings.register_profile("long", patient, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_generate_tests(metafunc):
    """`interpreter`: None for the CPython at hand, and each MicroPython."""
    if "interpreter" in metafunc.fixturenames:
        plugin = metafunc.config.pluginmanager.get_plugin("portable")
        targets = [target for target in plugin.targets if isinstance(target, MicroPython)]
        names = ["cpython", *(target.name for target in targets)]
        metafunc.parametrize("interpreter", [None, *targets], ids=names, scope="module")
