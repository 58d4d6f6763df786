"""Who answers: anything that speaks OpenAI's HTTP dialects, a model of our own among them. A teacher never learns its price."""
