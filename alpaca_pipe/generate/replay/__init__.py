"""Stored replies of earlier runs, judged anew and never bought again."""
