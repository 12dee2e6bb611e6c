"""Which answers the user's rows are asked for: one, one a step, or several one after the other."""
