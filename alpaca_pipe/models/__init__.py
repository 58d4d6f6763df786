"""What a model is given and what it says: templates, loading, scoring. Knows no stage."""
