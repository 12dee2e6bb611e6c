"""What people have, what is broken, and who is near: tried in bulk, and counted."""
