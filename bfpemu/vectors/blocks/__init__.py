"""What every unit shares: bins as data, facts of blocks, what can occur, codes as stimulus (spec 12.10)."""
