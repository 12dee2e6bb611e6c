"""The single choices that spaces are made of, one function each.

A parameter's name is its path in the nested configuration. Choices are written out, never built
from a table: Optuna refuses a categorical that changed, so a list that grew with a table would
break every study under way. Within one space a name always has the same list.
"""
