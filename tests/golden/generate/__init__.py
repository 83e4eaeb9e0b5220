"""One module a group of golden cases; each has `make(folder) -> Group`. See ../README.md."""
