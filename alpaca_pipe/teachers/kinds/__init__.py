"""The kinds of teacher, a module each, called as its kind: its table of keys, and which dialect, server, price and pace it has.

To add one: kinds/NAME.py with a subclass of TeacherTable, or of EndpointTable (teachers/endpoint.py) where it is asked over
HTTP at somebody else's address; where its protocol is new, a Dialect (teachers/base.py) in a module beside openai/. It is found
by its file. `python -m tools.reference` then writes its keys into the manual; tests/teachers/test_kinds.py asks it in full.
"""
