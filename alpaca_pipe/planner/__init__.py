"""What a recipe will do and take, before it does it."""
