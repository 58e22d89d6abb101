"""What an operator says, read once: files, environment, ladder, and the plan that comes of them."""
