"""What the static folders of both exports share: the page, whose engine answers in the browser."""
