"""What a reply says: tasks, and the parts that could not be read, each with its reason."""
