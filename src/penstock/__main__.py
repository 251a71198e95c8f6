"""Lets `python -m penstock` stand for the `penstock` command."""

from penstock.cli.main import main

main()
