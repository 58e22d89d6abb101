"""What happens to one request: policies decide, the runner acts."""
