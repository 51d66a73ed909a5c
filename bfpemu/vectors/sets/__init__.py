"""Plans and directed vectors of every unit, and sets on the disk (spec 12.5 to 12.9)."""
