"""The page that an operator keeps open: what goes on, and buttons to pause, resume and drain."""
