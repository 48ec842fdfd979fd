"""Ports made real. A family knows no other, and only `wiring` knows a family."""
