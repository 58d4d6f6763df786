"""The tiny tuned model of tests/serve, with its GGUF files."""

from tests.serve.conftest import letters  # noqa: F401  a fixture
