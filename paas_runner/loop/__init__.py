"""What every loop of the house shares: a clock, sleeps, growing pauses, signs of life."""
