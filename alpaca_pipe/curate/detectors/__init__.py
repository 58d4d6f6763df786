"""What is looked for in a text; each detector is used by the filters and the repairs."""
