"""What starts runs without anybody: deliveries, moments and the ends of other runs, kept as events."""
