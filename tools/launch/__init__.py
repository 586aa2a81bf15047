"""Starts a simulated node as a child process, watches over it and shows what it offers."""
