"""What a model is given and what it says: templates, loading, scoring. Knows no stage."""

import os

# Read when torch loads its OpenMP. Threads that spin while they wait for one that another program keeps from its core
# make a step four times as slow (full tuning on 2 cores, one of them busy: 40 s against 10 s, 2026-11).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
