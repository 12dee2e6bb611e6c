"""What a hostile reviewer tries, with the figures before and after the rules that stop it."""
