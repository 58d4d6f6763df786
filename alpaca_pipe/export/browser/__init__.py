"""The tuned model as a folder of static files: a page that answers in the browser itself, without a server of any kind."""
