"""Where answers come from: wire formats of vendors, and their errors as ours."""
