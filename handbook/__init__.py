"""Builds the site of the documentation out of docs/, the configs and the code."""
