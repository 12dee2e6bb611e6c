"""What a rung asks of a member, and how a look at it goes on only while it is undecided."""
