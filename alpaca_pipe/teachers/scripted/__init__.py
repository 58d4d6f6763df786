"""A scripted teacher for rehearsals and tests: our own server, asked by the real client."""
