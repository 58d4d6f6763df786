"""What answers on a port of this machine: a model by OpenAI's API, and the page to talk to it."""
