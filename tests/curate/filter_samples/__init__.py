"""Of each filter, in a module of its name: rows that it drops, each with the reason in full, and near misses that it lets pass."""
