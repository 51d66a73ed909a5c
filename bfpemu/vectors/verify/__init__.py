"""What a device gave, judged against a set: comparison, diagnosis, reports, the scoreboard (spec 12.12, 12.13)."""
