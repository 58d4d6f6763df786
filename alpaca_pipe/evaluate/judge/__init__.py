"""Answers put before a judge, any teacher: in pairs, blind and in both orders, or one by one. What it says becomes rates with
intervals, and a rate that the length of answers has no part in."""
