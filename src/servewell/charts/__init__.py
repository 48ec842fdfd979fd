"""Drawings: plots, bars and flame graphs as SVG, on pages that need nothing from anywhere.

Belongs here: what any report may draw, from plain numbers and names.
Does not belong here: what the numbers mean.
Imports: nothing of servewell but itself.
"""
