"""The engine: reads a recipe, says what must run and why, runs it, seals what it made. Knows no stage by name."""
