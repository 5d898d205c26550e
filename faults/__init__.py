"""Fault campaigns: kills, full disks, damaged files and a hostile web must lose nothing."""
