"""What was spent, added up and exported."""
