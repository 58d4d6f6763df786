"""[export] the tuned model as one checkpoint, checked after reloading, and the dataset in forms that others read."""
