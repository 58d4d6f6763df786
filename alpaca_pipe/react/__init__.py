"""ReAct: a model that thinks, asks a tool, reads what it found, and goes on, until it answers (Yao et al. 2022)."""
