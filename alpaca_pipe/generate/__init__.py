"""[generate] seeds -> requests -> replies -> novel examples."""
