"""What our own pages share: how one file is filled so that no text breaks out of it, and how a conversation looks."""
