"""The toy recipe and the file that counts its steps."""

from tests.recipe.conftest import counts, recipe  # noqa: F401  fixtures
