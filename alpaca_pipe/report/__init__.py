"""What a run came to, from what lies on disk alone: the page, the way of one example, the rows."""
