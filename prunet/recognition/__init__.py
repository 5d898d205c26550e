"""Tickets at work on files that people have: who is on a photo, which digit is on a scan."""
