"""The evaluations, a module each: what is asked of every model once it is loaded, and what is concluded from all that was said.
To add one: a module with an Evaluation at its top; evaluate/run.py finds it. What it writes beside its part of the summary
goes into the stage's folder.
"""
