"""Rules that an answer keeps or breaks, and that a program can tell: word counts, formats, keywords, casing ... A module each
group, a small function each rule; what is asked with them stands in prompts.jsonl (our own, CC0). After the idea of IFEval (Zhou
et al. 2023, arXiv:2311.07911): where both have a rule, lm-eval's functions and these agree (tests/evaluate/test_rules_agree.py).
"""
